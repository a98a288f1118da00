/** Finds and loads the addon; says what to do when it is missing. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { checkInteger, invalidParameter } from '../check.js'
import { NoduleError, describeError } from '../errors.js'
import { PACKAGE_ROOT } from '../version.js'
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
  status: () => {
    version: string
    cuda: string
    cudaUsable: boolean
    threads: number
    isa: string
  }
  setThreads: (count: number) => void
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
  /** Whether nodule_tensor.node, the kernels of the native engine (oneDNN), lies beside it. */
  tensor: boolean
  /** Why it is not available. */
  problem?: string
  solutions?: string[]
}

interface Loaded {
  addon?: Addon
  path: string
  problem?: string
}

let loaded: Loaded | undefined

/** Loads once. NODULE_ADDON names another build of the addon; 'none' runs without. */
function load(): Loaded {
  if (loaded !== undefined) return loaded
  const wanted = process.env['NODULE_ADDON']
  if (wanted === 'none') return (loaded = { path: '', problem: 'switched off by NODULE_ADDON=none' })
  const path =
    wanted !== undefined && wanted !== '' ? wanted : join(PACKAGE_ROOT, 'build', 'Release', 'nodule.node')
  if (!existsSync(path)) return (loaded = { path, problem: `${path}: no such file` })
  try {
    loaded = { path, addon: createRequire(import.meta.url)(path) as Addon }
  } catch (error) {
    loaded = { path, problem: describeError(error) }
  }
  return loaded
}

const solutions = [
  'npm run build:addon (needs cmake, make and a C++17 compiler: apt-get install cmake make g++)',
  'npm run setup installs what is missing where it may',
  `after changing the version of Node.js or the machine (now ${process.version} on ${process.platform} ${process.arch}), remove build/ and build again`,
  "device 'reference' runs the same kernels in TypeScript, slower",
]

/** What the addon is and what it can use here; never throws. */
export function addonStatus(): AddonStatus {
  const { addon, path, problem } = load()
  if (addon === undefined)
    return {
      available: false,
      cuda: 'not built',
      cudaUsable: false,
      threads: 1,
      isa: 'none',
      tensor: false,
      problem: problem ?? 'unknown',
      solutions,
    }
  return {
    available: true,
    path,
    ...addon.status(),
    tensor: existsSync(join(dirname(path), 'nodule_tensor.node')),
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
    throw new NoduleError(
      'UNAVAILABLE',
      `the native addon is not available: ${problem}. Possible solutions: ${solutions.join('; ')}`,
    )
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

/** The number of threads to use where nobody said: NODULE_THREADS, or the cores. */
export function defaultThreads(): number {
  const text = process.env['NODULE_THREADS']
  if (text === undefined || text === '') return availableParallelism()
  return checkInteger('NODULE_THREADS', Number(text), 1, 1024)
}

export type Device = 'auto' | 'reference' | 'cpu' | 'cuda'

/**
 * The device that a kernel will run on: 'auto' is 'cpu' where the addon is there, else 'reference' (TypeScript); 'cuda'
 * is used only when asked for, because copies to the device cost more than these kernels save on host arrays.
 * Throws NoduleError: INVALID_PARAMETER, or UNAVAILABLE where 'cpu' or 'cuda' is asked for and cannot be used.
 */
export function chooseDevice(device: Device = 'auto'): 'reference' | 'cpu' | 'cuda' {
  if (device === 'reference') return device
  if (device === 'auto') return findAddon() === undefined ? 'reference' : 'cpu'
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
  try {
    await requireAddon()[name](input)
  } catch (error) {
    throw nativeError(error)
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
