/** The kernels: C++ against their TypeScript references, against memory copies, and against Python peers. */
import { defaultThreads, requireAddon } from '../src/native/addon.js'
import {
  huConvertSync,
  hungarianMatchSync,
  linearSumAssignment,
  rezoomForwardSync,
  rezoomGradientSync,
  setThreads,
} from '../src/native/index.js'
import {
  assignmentCases,
  assignmentInput,
  huCases,
  huInput,
  matchCases,
  matchInput,
  rezoomCases,
  rezoomInput,
} from '../test/kernels/cases.js'
import { makeRow, measureTogether } from './measure.js'
import type { Row, Subject, SubjectOptions } from './types.js'

const name = 'kernels'
const twin = 'TypeScript twin'

async function hu({ seconds }: SubjectOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const c of huCases.filter((one) => one.bench === true)) {
    const batch = huInput(c)
    const count = c.slices * c.pixels
    for (const output of ['int16', 'float32'] as const) {
      const out = output === 'int16' ? new Int16Array(count) : new Float32Array(count)
      // The floor: copying the same bytes. For float32 the copy reads and writes as much in total.
      const from = new Uint8Array(output === 'int16' ? count * 2 : count * 3)
      const to = new Uint8Array(from.length)
      from.fill(1) // pages that were never written are all the same one
      const timing = await measureTogether(
        {
          ours: () => huConvertSync({ ...batch, out }, { device: 'cpu' }),
          memcpy: () => to.set(from),
          twin: () => huConvertSync({ ...batch, out }, { device: 'reference' }),
        },
        seconds,
      )
      const label = `hu ${c.name} -> ${output}`
      const floor_ms = timing.memcpy.ms
      rows.push(
        makeRow(name, label, timing.ours, twin, timing.twin.ms, { floor_ms, goal: '>= 8x' }),
        makeRow(name, label, timing.ours, 'memcpy (1 thread)', floor_ms, { floor_ms, goal: '>= 0.85x' }),
      )
    }
  }
  return rows
}

async function rezoom({ seconds }: SubjectOptions): Promise<Row[]> {
  const rows: Row[] = []
  for (const c of rezoomCases.filter((one) => one.bench === true)) {
    const { input, gradient } = rezoomInput(c)
    const both = (device: 'cpu' | 'reference'): void => {
      rezoomForwardSync(input, { device })
      rezoomGradientSync(input, gradient, { device })
    }
    const timing = await measureTogether({ ours: () => both('cpu'), twin: () => both('reference') }, seconds)
    rows.push(
      makeRow(name, `rezoom fwd+grad ${c.name}`, timing.ours, twin, timing.twin.ms, { goal: '>= 15x' }),
    )
  }
  return rows
}

async function hungarian({ seconds }: SubjectOptions): Promise<Row[]> {
  const rows: Row[] = []
  setThreads(1)
  for (const c of matchCases.filter((one) => one.bench === true)) {
    const input = matchInput(c)
    const timing = await measureTogether(
      {
        ours: () => hungarianMatchSync(input, { device: 'cpu' }),
        twin: () => hungarianMatchSync(input, { device: 'reference' }),
      },
      seconds,
    )
    const label = `hungarian ${c.name}, 1 thread`
    rows.push(
      makeRow(name, label, timing.ours, twin, timing.twin.ms),
      makeRow(name, label, timing.ours, 'goal: 1 us a cell', c.cells / 1000, { goal: '>= 1x' }),
    )
  }
  for (const c of assignmentCases.filter((one) => one.bench === true)) {
    const cost = assignmentInput(c)
    const timing = await measureTogether(
      {
        ours: () => linearSumAssignment(cost, c.rows, c.columns, { device: 'cpu' }),
        twin: () => linearSumAssignment(cost, c.rows, c.columns, { device: 'reference' }),
      },
      seconds,
    )
    rows.push(makeRow(name, `linearSumAssignment ${c.name}`, timing.ours, twin, timing.twin.ms))
  }
  setThreads(defaultThreads())
  return rows
}

async function overhead({ seconds }: SubjectOptions): Promise<Row[]> {
  const { nothing } = requireAddon()
  const { ours } = await measureTogether({ ours: nothing }, seconds / 2)
  return [makeRow(name, 'an empty call', ours, 'goal: 1 us', 0.001, { goal: '>= 1x' })]
}

export const subject: Subject = {
  describe: 'hu, rezoom and hungarian in C++ against TypeScript, memory copies and Python peers',
  async run(options) {
    requireAddon()
    const rows: Row[] = []
    for (const part of [overhead, hu, rezoom, hungarian]) rows.push(...(await part(options)))
    return rows
  },
}
