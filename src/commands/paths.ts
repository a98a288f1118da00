/**
 * What each command reads and writes, by its options: the command line checks with it that no result takes the place of
 * an input. An option that names a file or folder and does not stand here fails a test.
 */
import type { CommandPaths, OutputFolder } from '../outputs.js'

type Flags = Readonly<Record<string, unknown>>

/** Paths of options; what is absent or no text is left out. */
function given(flags: Flags, ...names: string[]): string[] {
  return names.flatMap((name) => flags[name]).filter((path) => typeof path === 'string')
}

const one = (flags: Flags, name: string): string | undefined => given(flags, name)[0]

const pictures = (path: string | undefined): OutputFolder => ({
  path,
  writes: /\.(png|svg|webp)$/,
  shared: true,
})

export const PATHS: Readonly<Record<string, (flags: Flags) => CommandPaths>> = {
  dump: (flags) => ({ reads: given(flags, 'files') }),
  series: (flags) => ({ reads: given(flags, 'folders') }),
  convert: (flags) => ({ reads: given(flags, 'inputs'), files: given(flags, 'output') }),
  anonymize: (flags) => ({ reads: given(flags, 'inputs'), folders: [{ path: one(flags, 'output') }] }),
  annotations: (flags) => ({
    reads: given(flags, 'folders', 'xml'),
    files: given(flags, 'output', 'csv', 'luna'),
    results: /\.(json|csv)$/,
    folders: [pictures(one(flags, 'draw'))],
  }),
  'to-xml': (flags) => ({
    reads: given(flags, 'files'),
    folders: [{ path: one(flags, 'output'), writes: /\.xml$/ }],
  }),
  phantom: (flags) => ({ folders: [{ path: one(flags, 'output') }] }),
  segment: (flags) => ({
    reads: given(flags, 'folders'),
    folders: [{ path: one(flags, 'output'), writes: /\.lungs\.(nii\.gz|png)$/ }],
  }),
  gallery: (flags) => ({
    reads: given(flags, 'folders', 'xml'),
    folders: [pictures(one(flags, 'output'))],
  }),
  prepare: (flags) => ({
    reads: given(flags, 'inputs', 'stacks', 'insert', 'xml', 'hypes', 'split-file'),
    folders: [
      {
        path: one(flags, 'output'),
        writes: /^(manifest|train|val|test|fold[^/]*)\.json$|^(frames|scans|check)\//,
      },
    ],
  }),
  train: (flags) => ({
    reads: [
      // A run goes on by the hypes that it wrote itself.
      ...(flags['resume'] === true ? [] : given(flags, 'hypes')),
      ...given(flags, 'train', 'test', 'weights'),
    ],
    files: given(flags, 'sheet'),
    folders: given(flags, 'output', 'logdir').map((path) => ({ path })),
  }),
  mine: (flags) => ({
    // Lists are meant to be changed.
    reads: given(flags, 'scans', 'stacks', 'xml', 'model', 'hypes', 'split-file'),
    folders: [{ path: one(flags, 'output'), writes: /^cubes\./ }],
  }),
  weights: (flags) => ({ reads: given(flags, 'file', 'others'), files: given(flags, 'output') }),
  engine: () => ({}),
  export: (flags) => ({
    reads: given(flags, 'checkpoint', 'frames', 'with', 'cubes'),
    files: given(flags, 'output'),
  }),
  // Without an output the second stage itself is fitted.
  calibrate: (flags) => ({
    reads: given(flags, 'second', 'cubes', 'like', 'model'),
    files: given(flags, 'output'),
  }),
  detect: (flags) => {
    const reads = given(flags, 'folders', 'list', 'model', 'second')
    const output = one(flags, 'output')
    return typeof flags['list'] === 'string'
      ? { reads, files: [output] }
      : {
          reads,
          folders: [{ path: output, writes: /(^predictions\.csv|\.json|\.webp)$/, shared: true }],
        }
  },
  evaluate: (flags) => ({
    reads: given(flags, 'predictions', 'truth', 'scans', 'xml', 'labels').concat(
      given(flags, 'excluded', 'series'),
    ),
    files: given(flags, 'output', 'rpc'),
    results: /(^|[\\/])evaluation[^\\/]*\.json$|\.txt$/,
    folders: [
      { path: one(flags, 'luna-output'), writes: /\.(csv|txt|json)$/, shared: true },
      pictures(one(flags, 'plots')),
    ],
  }),
  report: (flags) => ({
    reads: given(
      flags,
      ...['run', 'log', 'hypes', 'truth', 'predictions', 'evaluation', 'compare'],
      ...['detections', 'scans', 'xml', 'reference', 'excluded', 'series'],
    ),
    files: given(flags, 'output'),
    results: /\.html$/,
    folders: [pictures(one(flags, 'plots'))],
  }),
  bench: (flags) => ({ files: given(flags, 'output', 'markdown') }),
  doctor: () => ({}),
}
