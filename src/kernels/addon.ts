/** Finds and loads the addon; says what to do when it is missing. */
import { availableParallelism } from 'node:os'
import { checkInteger, invalidParameter } from '../check.js'
import { NoduleError, describeError } from '../errors.js'
import { IN_CLONE } from '../version.js'
import { BUILD_COMMAND, loadAddon } from './find_addon.js'
import type { Found } from './find_addon.js'
import { holdBuffers } from './hold_buffers.js'
import type { Parts } from './reference/masks.js'

/** A kernel of the addon: `name` runs off the event loop, `nameSync` at once. Both write into the argument's buffers. */
export type AsyncKernel = (input: object) => Promise<void>
export type SyncKernel = (input: object) => void

/** By position: reading the properties of an object takes as long as matching ten cells. */
export type MatchArguments = [
  predictions: Float32Array,
  truths: Float32Array,
  counts: Int32Array,
  assignment: Int32Array,
  cost: Float64Array,
  p: number,
  t: number,
  minIou: number,
  device: string,
]

/** What native/addon.cpp exports. Internal: the functions of this folder check what they pass. */
export interface Addon {
  readonly version: string
  status: () => {
    cuda: string
    cudaUsable: boolean
    threads: number
    isa: string
  }
  /** `once`: only where nothing in this process, a worker thread included, has set it. */
  setThreads: (count: number, once?: boolean) => void
  /** Does nothing: what a call costs. */
  nothing: () => void
  /** Reads all bytes on the pool's threads: what reading costs. */
  readBytes: (arrays: readonly Uint8Array[]) => number
  hu: AsyncKernel
  huSync: SyncKernel
  frames: AsyncKernel
  framesSync: SyncKernel
  rezoomForward: AsyncKernel
  rezoomForwardSync: SyncKernel
  rezoomGradient: AsyncKernel
  rezoomGradientSync: SyncKernel
  roiAlignForward: AsyncKernel
  roiAlignForwardSync: SyncKernel
  roiAlignGradient: AsyncKernel
  roiAlignGradientSync: SyncKernel
  hungarianMatch: (...input: MatchArguments) => Promise<void>
  hungarianMatchSync: (...input: MatchArguments) => void
  linearSumAssignment: (input: object) => number
  shrinkSync: SyncKernel
  dilateSync: SyncKernel
  findParts: (input: object) => Parts
  refineSync: SyncKernel
}

export interface AddonStatus {
  /** Whether the addon is loaded. */
  available: boolean
  /** Where it was loaded from. */
  path?: string
  version?: string
  /** 'not built', 'no device', another problem, or the device's name and memory. */
  cuda: string
  /** Whether kernels can run on the CUDA device. */
  cudaUsable: boolean
  /** Threads that the CPU kernels share. */
  threads: number
  /** Instruction set chosen at run time: 'x86-64-v4' (AVX-512), 'x86-64-v3' (AVX2), ..., 'none' without the addon. */
  isa: string
  /** Why it is not available. */
  problem?: string
  solutions?: string[]
}

let loaded: Found<Addon> | undefined

/**
 * Loads once. NODULE_ADDON names another build of the addon; 'none' runs without.
 * Throws NoduleError (INVALID_PARAMETER) where NODULE_THREADS is no number of threads.
 */
function load(): Found<Addon> {
  if (loaded !== undefined) return loaded
  const threads = defaultThreads()
  loaded = loadAddon<Addon>('nodule.node', process.env['NODULE_ADDON'])
  loaded.addon?.setThreads(threads, true)
  return loaded
}

const solutions = [
  IN_CLONE
    ? 'npm run setup (installs the compiler and libraries where it may, and builds)'
    : 'npx nodule engine install native (needs cmake, make and a C++17 compiler: apt-get install cmake make g++)',
  `after changing the version of Node.js or the machine (now ${process.version} on ${process.platform} ${process.arch}) the same`,
  "device 'reference' runs the same kernels in TypeScript, slower",
]

/** What the addon is and what it can use here. Throws NoduleError (INVALID_PARAMETER) for a wrong NODULE_THREADS. */
export function addonStatus(): AddonStatus {
  const { addon, path, problem } = load()
  if (addon === undefined)
    return {
      available: false,
      cuda: 'not built',
      cudaUsable: false,
      threads: 1,
      isa: 'none',
      problem: problem ?? 'unknown',
      solutions,
    }
  return {
    available: true,
    path,
    version: addon.version,
    ...addon.status(),
  }
}

/** The addon, or undefined where it is missing. */
export function findAddon(): Addon | undefined {
  return load().addon
}

/** The addon. Throws NoduleError (UNAVAILABLE) with possible solutions. */
export function requireAddon(): Addon {
  const { addon, problem } = load()
  if (addon === undefined)
    throw new NoduleError('UNAVAILABLE', `the native addon is not available: ${problem}`, {
      remedies: solutions,
    })
  return addon
}

/**
 * How many threads the CPU kernels share from now on; at first NODULE_THREADS, or the cores. Does nothing without the
 * addon. Throws NoduleError (INVALID_PARAMETER).
 */
export function setThreads(count: number): void {
  checkInteger('threads', count, 1, 1024)
  findAddon()?.setThreads(count)
}

/**
 * The number of threads to use where nobody said: NODULE_THREADS, or the cores.
 * Throws NoduleError (INVALID_PARAMETER) where NODULE_THREADS is no integer between 1 and 1024.
 */
export function defaultThreads(): number {
  const text = process.env['NODULE_THREADS']
  if (text === undefined || text === '') return availableParallelism()
  const threads = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (threads < 1 || threads > 1024)
    throw invalidParameter('NODULE_THREADS', 'integer between 1 and 1024', text)
  return threads
}

/** What a scan of 500 slices needs, with room. */
const BYTES_PER_SCAN = 1.5 * 2 ** 30

/** The default of every --jobs, scans or patients at a time: a thread each, where memory allows. */
export function defaultJobs(): number {
  return Math.max(1, Math.min(defaultThreads(), Math.floor(process.availableMemory() / BYTES_PER_SCAN)))
}

let warned = false

/** JavaScript computes the same, so slowly that nobody should find out by waiting: says so once in a process. */
function warnOfReference(): void {
  if (warned || process.env['NODULE_ADDON'] === 'none') return
  warned = true
  process.emitWarning(
    `the native kernels cannot be used (${load().problem}); JavaScript computes instead, many times slower. ` +
      `${BUILD_COMMAND} builds them; nodule doctor tells more`,
    'NoduleWarning',
  )
}

export type Device = 'auto' | 'reference' | 'cpu' | 'cuda'

/**
 * The device that a kernel will run on: 'auto' is 'cpu' where the addon is there, else 'reference' (TypeScript); 'cuda'
 * is used only when asked for, because copies to the device cost more than these kernels save on host arrays.
 * Throws NoduleError: INVALID_PARAMETER, or UNAVAILABLE where 'cpu' or 'cuda' is asked for and cannot be used.
 */
export function chooseDevice(device: Device = 'auto'): 'reference' | 'cpu' | 'cuda' {
  if (device === 'reference') return device
  if (device === 'auto') {
    if (findAddon() !== undefined) return 'cpu'
    warnOfReference()
    return 'reference'
  }
  if (device !== 'cpu' && device !== 'cuda')
    throw invalidParameter('device', "'auto', 'reference', 'cpu' or 'cuda'", device)
  const { status } = requireAddon()
  if (device === 'cuda') {
    const { cuda, cudaUsable } = status()
    if (!cudaUsable) throw new NoduleError('UNAVAILABLE', `device 'cuda' cannot be used: ${cuda}`)
  }
  return device
}

/** Turns an error of the addon into a NoduleError. */
export function nativeError(error: unknown): NoduleError {
  if (error instanceof NoduleError) return error
  return new NoduleError(
    error instanceof TypeError ? 'INVALID_PARAMETER' : 'UNAVAILABLE',
    describeError(error),
    {
      cause: error,
    },
  )
}

export type KernelName =
  'hu' | 'frames' | 'rezoomForward' | 'rezoomGradient' | 'roiAlignForward' | 'roiAlignGradient'

/** Runs a kernel of the addon off the event loop. */
export async function runKernel(name: KernelName, input: object): Promise<void> {
  const release = holdBuffers(input)
  try {
    await requireAddon()[name](input)
  } catch (error) {
    throw nativeError(error)
  } finally {
    release()
  }
}

/** Runs a kernel of the addon at once; those of the lungs have no other way. */
export function runKernelSync(name: KernelName | 'shrink' | 'dilate' | 'refine', input: object): void {
  try {
    requireAddon()[`${name}Sync`](input)
  } catch (error) {
    throw nativeError(error)
  }
}
