#!/usr/bin/env node
import yargs from 'yargs'
import type { CommandModule } from 'yargs'
import { NoduleError } from './errors.js'
import type { NameOf } from './errors.js'
import { PATHS } from './commands/paths.js'
import { defaultThreads } from './kernels/addon.js'
import {
  flagName,
  guardOutput,
  printFailure,
  printFailureText,
  setFlagNames,
  setOutputStyle,
} from './terminal/output.js'
import { NAMES_FOLLOW, checkValues, explain, withNames } from './terminal/usage.js'
import type { ParserOptions } from './terminal/usage.js'
import { checkOutputs } from './outputs.js'
import { VERSION } from './version.js'
import { nearest } from './words.js'
import { guardSignals } from './terminal/interrupt.js'

/** A file of commands/. */
interface CommandFile {
  command: unknown
  /** The flags that are not called as the parameters of the library that they set. */
  flagOf?: Readonly<Record<string, string>>
}

/**
 * The command line. Only the command that is asked for is loaded, so that `nodule --help` answers at once.
 * Exit codes: 0 done, 1 bad input, what is refused or a failed item, 2 usage, 70 a bug, 130 interrupted (by a signal that
 * ends the process at once 143 and 129).
 */
export const COMMANDS: readonly {
  name: string
  describe: string
  load: () => Promise<CommandFile>
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
    name: 'weights',
    describe: 'Show what is in a file of weights and which backbone it fits',
    load: () => import('./commands/weights.js'),
  },
  {
    name: 'engine',
    describe: 'Install an engine that npm could not install',
    load: () => import('./commands/engine.js'),
  },
  {
    name: 'mine',
    describe: 'Run a model over known scans: cubes and false marks to train on',
    load: () => import('./commands/mine.js'),
  },
  {
    name: 'export',
    describe: 'Export a checkpoint to ONNX and verify it',
    load: () => import('./commands/export.js'),
  },
  {
    name: 'calibrate',
    describe: 'Fit a second stage to the first one: what both say together',
    load: () => import('./commands/calibrate.js'),
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

export async function main(words: readonly string[]): Promise<void> {
  const argv = withNames(words)
  if (argv[0] === 'help') return main([...argv.slice(1), '--help'])
  // A wrong NODULE_THREADS is refused here for all commands, also those that use no threads.
  defaultThreads()
  const completing = argv[0] === '--get-yargs-completions'
  const word = argv.find((part) => !part.startsWith('-'))
  if (!completing && word !== undefined) checkCommand(word)
  let parser = yargs(argv)
    .scriptName('nodule')
    // What yargs says is read (terminal/usage.ts), and all else is English too.
    .locale('en')
    .usage('$0 COMMAND: detectors of pulmonary nodules on CT, from DICOM to a report')
    .strict()
    .demandCommand(1, 1, NO_COMMAND)
    .completion(
      'completion',
      'Print a completion script for the shell (add it to ~/.bashrc)',
      (_current: string, _given: unknown, complete: Complete, done: (found: string[]) => void) =>
        complete((_error: Error | null, found: string[] | undefined) =>
          done(withoutAliases(found ?? [], parser)),
        ),
    )
    .option('json', {
      type: 'boolean',
      default: false,
      describe: 'One JSON document on stdout, all else on stderr',
    })
    .option('quiet', {
      type: 'boolean',
      alias: 'q',
      default: false,
      describe: 'Print results, failures and errors only: no bar, no log lines, no warnings',
    })
    .option(NAMES_FOLLOW, { type: 'boolean', hidden: true })
    .middleware(({ json, quiet }) => setOutputStyle({ json, quiet }), true)
    .middleware(async (flags) => checkOutputs(PATHS[word ?? '']?.(flags) ?? {}))
    .version(VERSION)
    .alias('V', 'version')
    .help()
    .alias('h', 'help')
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .epilogue('nodule COMMAND --help shows the options and examples of a command. Not a medical device.')
    .exitProcess(false)
    .check((given) => {
      setFlagNames(flagNames(parser, flagOf))
      return checkValues(given, argv, parser)
    })
    .fail((message, error, self) => {
      // An error thrown by a handler passes through; what remains is wrong usage.
      if (error instanceof Error && error.name !== 'YError') throw error
      const reason = message ?? error.message
      if (reason === NO_COMMAND) {
        self.showHelp('error')
        throw new UsageError(`\n${reason}`)
      }
      const asked = word === undefined ? '' : ` ${word}`
      throw new UsageError(`nodule${asked}: ${explain(reason, argv, parser)} (nodule${asked} --help)`)
    })
  let flagOf: Readonly<Record<string, string>> = {}
  for (const { name, describe, load } of COMMANDS) {
    if (completing ? !argv.includes(name) : word !== name) {
      parser = parser.command({ command: name, describe, handler: () => undefined })
      continue
    }
    const file = await load()
    flagOf = file.flagOf ?? {}
    parser = parser.command(file.command as CommandModule)
  }
  await parser.parseAsync()
}

/** yargs' own completion. */
type Complete = (onCompleted: (error: Error | null, found: string[] | undefined) => void) => void

const NO_COMMAND = 'Name a command; see nodule --help.'

function checkCommand(word: string): void {
  const names = [...COMMANDS.map(({ name }) => name), 'completion']
  if (names.includes(word)) return
  const like = nearest(word, names)
  const advice = like === undefined ? 'nodule --help lists them' : `did you mean ${like}?`
  throw new UsageError(`nodule: unknown command ${word}: ${advice}`)
}

/** Options by the parameters that they set: as the command says, else the one of that name. */
function flagNames(parser: unknown, flagOf: Readonly<Record<string, string>>): NameOf {
  const { key } = (parser as ParserOptions).getOptions()
  return (parameter) => {
    const flag = flagOf[parameter] ?? parameter.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    return flag in key ? `--${flag}` : parameter
  }
}

/** Of the completions, those that are no second names of options. */
function withoutAliases(found: readonly string[], parser: unknown): string[] {
  const second = new Set(Object.values((parser as ParserOptions).getOptions().alias).flat())
  return found.filter((entry) => {
    // zsh and fish get the description too.
    const name = /^--?([^:\t]+)/.exec(entry)?.[1]
    return name === undefined || (name.length > 1 && !second.has(name))
  })
}

class UsageError extends Error {}

/** A file's bytes that a message quotes cannot steer the terminal. */
function forTerminal(text: string): string {
  return text.replace(/[\p{Cc}\p{Co}\uFFFD]/gu, (c) => (c === '\n' || c === '\t' ? c : '?'))
}

guardOutput()
guardSignals()
try {
  await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) {
    printFailureText(error.message)
    process.exitCode = 2
  } else if (error instanceof NoduleError) {
    printFailure(`nodule: ${forTerminal(error.inWords(flagName))}`)
    process.exitCode = error.code === 'INTERRUPTED' ? 130 : 1
  } else if (error instanceof RangeError && /allocation failed|array (buffer )?length/i.test(error.message)) {
    printFailure(`nodule: not enough memory: ${error.message}`)
    process.exitCode = 1
  } else {
    printFailureText(`nodule: this is a bug: ${error instanceof Error ? error.stack : String(error)}`)
    process.exitCode = 70
  }
}
