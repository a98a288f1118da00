import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { describeError } from './errors.js'
import { probeEngines } from './engine/index.js'
import { describeNativeEngine } from './engine/native.js'
import { hasCudaProvider } from './inference/session.js'
import { addonStatus } from './native/index.js'
import { PACKAGE_ROOT, VERSION } from './version.js'

/** One thing that was looked at. */
export interface Finding {
  what: string
  /** 'ok'; 'missing': nodule works without it, slower or with less; 'broken': the main job cannot be done. */
  state: 'ok' | 'missing' | 'broken'
  /** What was found. */
  detail: string
  /** What to do about it. */
  advice?: string
}

const require = createRequire(import.meta.url)

/** Examines the installation. Never throws: what fails is a finding. */
export async function examine(): Promise<Finding[]> {
  return [
    machine(),
    node(),
    packages(),
    ...addon(),
    ...(await engines()),
    await onnxruntime(),
    gpu(),
    fonts(),
  ]
}

/** The findings as a table for people. */
export function printFindings(findings: readonly Finding[]): string {
  const marks = { ok: 'ok     ', missing: 'missing', broken: 'BROKEN ' }
  const width = Math.max(...findings.map((finding) => finding.what.length))
  const lines = findings.flatMap(({ what, state, detail, advice }) => [
    `${marks[state]}  ${what.padEnd(width)}  ${detail}`,
    ...(advice === undefined ? [] : [`${' '.repeat(11 + width)}  -> ${advice}`]),
  ])
  return `nodule ${VERSION}\n\n${lines.join('\n')}\n`
}

function machine(): Finding {
  const model = cpus()[0]?.model ?? 'unknown processor'
  const memory = (totalmem() / 2 ** 30).toFixed(0)
  return {
    what: 'machine',
    state: 'ok',
    detail: `${model}, ${availableParallelism()} cores, ${memory} GiB, ${process.platform} ${process.arch}`,
  }
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const enough = major >= 24 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19)
  return {
    what: 'Node.js',
    state: enough ? 'ok' : 'broken',
    detail: process.version,
    ...(enough ? {} : { advice: 'install Node 20.19, 22.12, 24 or newer' }),
  }
}

/** The version of an installed package, or undefined. Reads its manifest, since some packages do not export it. */
function packageVersion(name: string): string | undefined {
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return (JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')) as { version: string })
        .version
    } catch {
      // not in this folder: look in the next
    }
  }
  return undefined
}

function packages(): Finding {
  const manifest = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const names = Object.keys(manifest.dependencies)
  const absent = names.filter((name) => packageVersion(name) === undefined)
  const shown = ['@tensorflow/tfjs', 'onnxruntime-node', 'dicom-parser', 'sharp']
  return absent.length > 0
    ? {
        what: 'npm packages',
        state: 'broken',
        detail: `missing: ${absent.join(', ')}`,
        advice: 'npm run setup',
      }
    : {
        what: 'npm packages',
        state: 'ok',
        detail: shown.map((name) => `${name} ${packageVersion(name)}`).join(', '),
      }
}

function addon(): Finding[] {
  const status = addonStatus()
  if (!status.available) {
    return [
      {
        what: 'native addon',
        state: 'missing',
        detail: `${status.problem ?? 'not built'}; the kernels run in JavaScript, many times slower`,
        advice: (status.solutions ?? ['npm run build:addon']).join('; or '),
      },
    ]
  }
  const cuda = status.cuda === 'not built' || status.cuda === 'no device' ? 'missing' : 'ok'
  return [
    {
      what: 'native addon',
      state: 'ok',
      detail:
        `${status.version ?? ''} ${status.isa}, ${status.threads} threads (NODULE_THREADS sets them)`.trim(),
    },
    {
      what: 'CUDA kernels',
      state: cuda,
      detail: status.cuda,
      ...(status.cuda === 'not built'
        ? { advice: 'with a CUDA toolkit on the PATH (nvcc): npm run build:addon' }
        : status.cuda === 'no device'
          ? { advice: 'they need an NVIDIA GPU with its driver; everything runs on the CPU' }
          : {}),
    },
  ]
}

async function engines(): Promise<Finding[]> {
  const probed = await probeEngines()
  const usable = probed.filter((engine) => engine.reason === undefined)
  const automatic = usable[0]?.name
  const advice: Record<string, string> = {
    tensorflow: 'optional: nodule engine install tensorflow',
    native: 'apt-get install libdnnl-dev, then npm run build:addon',
    wasm: 'npm run setup',
  }
  return probed.map(({ name, reason }) => ({
    what: `engine ${name}`,
    state: reason === undefined ? 'ok' : automatic === undefined ? 'broken' : 'missing',
    detail:
      reason ??
      (name === automatic ? 'trains by default here' : 'can train') +
        (name === 'native' ? ` (${describeNativeEngine()})` : ''),
    ...(reason === undefined || advice[name] === undefined ? {} : { advice: advice[name] }),
  }))
}

async function onnxruntime(): Promise<Finding> {
  try {
    const runtime = await import('onnxruntime-node')
    // Those that the binding knows; CUDA and TensorRT also need a library that the package does not carry.
    const providers = runtime
      .listSupportedBackends()
      .map(({ name }) => name)
      .filter((name) => !['cuda', 'tensorrt'].includes(name) || hasCudaProvider())
    return {
      what: 'onnxruntime',
      state: 'ok',
      detail: `${packageVersion('onnxruntime-node')}, providers: ${providers.join(', ')}`,
    }
  } catch (error) {
    return { what: 'onnxruntime', state: 'broken', detail: describeError(error), advice: 'npm run setup' }
  }
}

function firstLine(command: string, args: readonly string[]): string | undefined {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 })
  return result.status === 0 ? result.stdout.trim().split('\n')[0] : undefined
}

function gpu(): Finding {
  const found = firstLine('nvidia-smi', [
    '--query-gpu=name,memory.total,driver_version',
    '--format=csv,noheader',
  ])
  return found === undefined
    ? { what: 'NVIDIA GPU', state: 'missing', detail: 'none found by nvidia-smi; everything runs on the CPU' }
    : { what: 'NVIDIA GPU', state: 'ok', detail: found }
}

function fonts(): Finding {
  const found = firstLine('fc-match', ['sans'])
  return found === undefined
    ? {
        what: 'fonts',
        state: 'missing',
        detail: 'fontconfig finds none: labels on pictures may stay empty',
        advice: 'apt-get install fonts-dejavu-core',
      }
    : { what: 'fonts', state: 'ok', detail: found }
}
