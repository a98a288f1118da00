/** The devices on which parity is tested; a missing CUDA device shows as a skipped test that says why. */
import { addonStatus } from '../../src/kernels/index.js'

const status = addonStatus()

export const devices = [
  {
    device: 'cpu' as const,
    skip: !status.available,
    title: status.available ? `cpu (${status.isa})` : `cpu: ${status.problem}`,
  },
  {
    device: 'cuda' as const,
    skip: !status.cudaUsable,
    title: `cuda: ${status.cuda}`,
  },
]
