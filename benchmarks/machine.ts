import os from 'node:os'
import { addonStatus } from '../src/kernels/index.js'
import { VERSION } from '../src/version.js'

export interface Machine {
  date: string
  cpu: string
  cores: number
  memoryGiB: number
  system: string
  node: string
  nodule: string
  threads: number
  isa: string
  cuda: string
  /** Average number of busy processes over the last minute, before the run: what else the machine was doing. */
  load: number
  /** Variables that bound threads or instructions, as NAME=value; what ran beside the benchmark. */
  bounds: string[]
}

/** Names of the variables that change what the kernels may use. */
const BOUNDS =
  /^(NODULE_(ISA|THREADS|BFLOAT16)|(ONEDNN|DNNL)_MAX_CPU_ISA|GOMP_\w+|OMP_\w+|ATEN_CPU_CAPABILITY)$/

export function describeMachine(): Machine {
  const { threads, isa, cuda } = addonStatus()
  return {
    date: new Date().toISOString(),
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.arch()}`,
    node: process.version,
    nodule: VERSION,
    threads,
    isa,
    cuda,
    load: os.loadavg()[0] ?? 0,
    bounds: Object.entries(process.env).flatMap(([name, value]) =>
      BOUNDS.test(name) ? [`${name}=${value ?? ''}`] : [],
    ),
  }
}

/** "2026-01-02, CPU, 2 cores, ..." */
export function machineLine(m: Machine): string {
  return [
    m.date.slice(0, 16).replace('T', ' '),
    `${m.cpu}, ${m.cores} cores, ${m.memoryGiB} GiB`,
    `${m.system}, Node ${m.node}, nodule ${m.nodule}`,
    `${m.threads} threads, ${m.isa}, CUDA: ${m.cuda}`,
    `load before: ${m.load.toFixed(1)}`,
    ...m.bounds,
  ].join('; ')
}
