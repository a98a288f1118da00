#!/usr/bin/env node
import yargs from 'yargs'
import type { CommandModule } from 'yargs'
import { NoduleError } from './errors.js'
import { VERSION } from './version.js'

/**
 * The command line. Only the command that is asked for is loaded, so that `nodule --help` answers at once.
 * Exit codes: 0 done, 1 bad input or a failed item, 2 usage, 130 interrupted.
 */
const COMMANDS: readonly {
  name: string
  describe: string
  load: () => Promise<{ command: unknown }>
}[] = [
  { name: 'dump', describe: 'Print the tags of DICOM files', load: () => import('./commands/dump.js') },
  {
    name: 'series',
    describe: 'List the DICOM series in folders: size, spacing, vendor, problems',
    load: () => import('./commands/series.js'),
  },
  {
    name: 'convert',
    describe: 'Write a scan as NIfTI or MetaImage, in HU',
    load: () => import('./commands/convert.js'),
  },
  {
    name: 'anonymize',
    describe: 'Write de-identified copies of DICOM files',
    load: () => import('./commands/anonymize.js'),
  },
  {
    name: 'annotations',
    describe: "Read LIDC XML and print the readers' consensus nodules",
    load: () => import('./commands/annotations.js'),
  },
  {
    name: 'to-xml',
    describe: 'Write JSON of annotations or detections as LIDC XML',
    load: () => import('./commands/to-xml.js'),
  },
  {
    name: 'phantom',
    describe: 'Make synthetic LIDC patients: DICOM, four readers in LIDC XML, exact truth in JSON',
    load: () => import('./commands/phantom.js'),
  },
  {
    name: 'segment',
    describe: 'Find the lungs: mask as NIfTI, montage as PNG, volumes',
    load: () => import('./commands/segment.js'),
  },
  {
    name: 'gallery',
    describe: "Draw nodules by form, the anatomy by HU class, and the readers' contours",
    load: () => import('./commands/gallery.js'),
  },
  {
    name: 'prepare',
    describe: 'Turn scans and annotations into training frames and lists',
    load: () => import('./commands/prepare.js'),
  },
  {
    name: 'train',
    describe: 'Train a detector from a hypes file',
    load: () => import('./commands/train.js'),
  },
  {
    name: 'engine',
    describe: 'Install an engine that npm could not install',
    load: () => import('./commands/engine.js'),
  },
  {
    name: 'export',
    describe: 'Export a checkpoint to ONNX and verify it',
    load: () => import('./commands/export.js'),
  },
  { name: 'detect', describe: 'Find nodules in scans', load: () => import('./commands/detect.js') },
  {
    name: 'evaluate',
    describe: 'Compare predictions with the truth',
    load: () => import('./commands/evaluate.js'),
  },
  {
    name: 'report',
    describe: 'Write one HTML page about a run',
    load: () => import('./commands/report.js'),
  },
  {
    name: 'bench',
    describe: 'Time nodule against its TypeScript twins and other programs on this machine',
    load: () => import('./commands/bench.js'),
  },
  {
    name: 'doctor',
    describe: 'Tell what is installed and what to do about what is missing',
    load: () => import('./commands/doctor.js'),
  },
]

export async function main(argv: readonly string[]): Promise<void> {
  let parser = yargs([...argv])
    .scriptName('nodule')
    .usage('$0 COMMAND: detectors of pulmonary nodules on CT, from DICOM to a report')
    .strict()
    .demandCommand(1, 1, 'Name a command; see nodule --help.')
    .recommendCommands()
    .completion('completion', 'Print a completion script for the shell (add it to ~/.bashrc)')
    .version(VERSION)
    .help()
    .alias('h', 'help')
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .epilogue('nodule COMMAND --help shows the options and examples of a command. Not a medical device.')
    .exitProcess(false)
    .check((given) => checkValues(given, argv, parser))
    .fail((message, error, self) => {
      // An error thrown by a handler passes through; what remains is wrong usage.
      if (error instanceof Error && error.name !== 'YError') throw error
      self.showHelp('error')
      process.stderr.write(`\n${message ?? error.message}\n`)
      throw new UsageError(message ?? error.message)
    })
  for (const { name, describe, load } of COMMANDS) {
    parser = argv.includes(name)
      ? parser.command((await load()).command as CommandModule)
      : parser.command({ command: name, describe, handler: () => undefined })
  }
  await parser.parseAsync()
}

/** Wrong usage that yargs lets pass: an option given twice that takes one value; no value or a word for a number. */
function checkValues(
  given: Readonly<Record<string, unknown>>,
  argv: readonly string[],
  parser: unknown,
): true {
  const { array, number } = (parser as ParserOptions).getOptions()
  for (const [at, word] of argv.entries()) {
    const name = /^--?([a-z-]+)$/.exec(word)?.[1]
    if (name !== undefined && number.includes(name) && !/^-?[\d.]/.test(argv[at + 1] ?? ''))
      throw new YError(`${word} needs a number.`)
  }
  for (const [name, value] of Object.entries(given)) {
    // "_" holds what is no option; a name of one letter or in camel case repeats another.
    if (name === '_' || name === '--' || name.length === 1 || /[A-Z]/.test(name)) continue
    if (Array.isArray(value) && !array.includes(name)) throw new YError(`--${name} is given more than once.`)
    if (value === '') throw new YError(`--${name} needs a value.`)
    if (Number.isNaN(value)) throw new YError(`--${name} needs a number.`)
  }
  return true
}
/** What yargs' types leave out: the names of the options by kind. */
interface ParserOptions {
  getOptions: () => { array: string[]; number: string[] }
}

/** What yargs itself throws for wrong usage. */
class YError extends Error {
  override readonly name = 'YError'
}

class UsageError extends Error {}

/**
 * An error's message for the terminal: options are called as they were given (minDiameterMm is --min-diameter), and a
 * file's bytes that a message quotes cannot steer the terminal.
 */
function forTerminal(message: string, argv: readonly string[]): string {
  const flags = argv.flatMap((word) => /^--([a-z][a-z-]+)/.exec(word)?.[1] ?? [])
  const named = message.replace(
    /^(Expected .* for )([a-z]\w*)( but received )/,
    (whole, before, name, after) => {
      const flag = flags.find((given) =>
        String(name).startsWith(given.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())),
      )
      return flag === undefined ? whole : `${before}--${flag}${after}`
    },
  )
  return named.replace(/[\p{Cc}\p{Co}\uFFFD]/gu, (c) => (c === '\n' || c === '\t' ? c : '?'))
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) process.exitCode = 2
  else if (error instanceof NoduleError) {
    process.stderr.write(`nodule: ${forTerminal(error.message, process.argv.slice(2))}\n`)
    process.exitCode = error.code === 'INTERRUPTED' ? 130 : 1
  } else if (error instanceof RangeError && /allocation failed|array (buffer )?length/i.test(error.message)) {
    process.stderr.write(`nodule: not enough memory: ${error.message}\n`)
    process.exitCode = 1
  } else {
    process.stderr.write(`nodule: this is a bug: ${error instanceof Error ? error.stack : String(error)}\n`)
    process.exitCode = 70
  }
}
