/**
 * What one input file may cost, written down once for every reader: about 4 times its size and 64 MB of memory at the
 * peak. What would take more ends in an error before the memory is spent. Volume files, whose masks compress a thousand
 * times, have an allowance of their own.
 */
const ALLOWANCE = 64 * 1024 * 1024
const VOLUME_ALLOWANCE = 512 * 1024 * 1024

/** Bytes that reading a file of `size` bytes may take at the peak. */
export function memoryLimit(size: number): number {
  return 4 * size + ALLOWANCE
}

/** Bytes of voxels that a volume file (NIfTI, MetaImage) of `size` bytes may hold. */
export function voxelLimit(size: number): number {
  return 16 * size + VOLUME_ALLOWANCE
}

/** Slices or frames that a file may have: each gets a header of about 1 KB. */
export function frameLimit(size: number): number {
  return 4096 + Math.floor(size / 512)
}

/** Milliseconds of processor time that reading a file of `size` bytes may take. */
export function timeLimit(size: number): number {
  return 2000 + size / 500
}
