import { checkInteger } from './check.js'

/** A seeded stream of random numbers; the same seed gives the same numbers on every machine. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform: () => number
  /** Normal with mean 0 and standard deviation 1. */
  normal: () => number
  /** Integer in [0, below). */
  integer: (below: number) => number
  /** A new stream that is independent of how far this one has been read. */
  fork: (label: string) => Random
}

/** 32-bit finalizer of MurmurHash3 (Appleby, public domain): spreads every input bit. */
function mix(value: number): number {
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return (value ^ (value >>> 16)) >>> 0
}

/** FNV-1a over the label, mixed with the seed. */
function hashLabel(seed: number, label: string): number {
  let hash = mix(seed ^ 0x9e3779b9)
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193)
  return mix(hash)
}

/** sfc32 (Practically Random's small fast counter generator): passes PractRand, 128-bit state. */
export function createRandom(seed: number): Random {
  checkInteger('seed', seed, 0, 0xffffffff)
  let a = mix(seed ^ 0x243f6a88)
  let b = mix(seed ^ 0x85a308d3)
  let c = mix(seed ^ 0x13198a2e)
  let counter = 1
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) next()
  const uniform = (): number => (next() * 2097152 + (next() >>> 11)) / 9007199254740992
  return {
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    integer: (below) => Math.floor(uniform() * below),
    fork: (label) => createRandom(hashLabel(seed, label)),
  }
}
