/** What is wrong with a call, in words: yargs tells it in texts of its own. */
import { nearest } from '../words.js'

/** The option that stands for "--" (`withNames`). */
export const NAMES_FOLLOW = 'names-follow'

/**
 * A call whose words behind "--" reach the command, as names of files: yargs keeps them from it without a word. An option
 * takes the place of "--", for it ends lists of values as well, and a dash at the front of a name is no option's.
 */
export function withNames(argv: readonly string[]): string[] {
  const end = argv.indexOf('--')
  if (end < 0) return [...argv]
  const names = argv.slice(end + 1).map((word) => (word.startsWith('-') ? `./${word}` : word))
  return [...argv.slice(0, end), `--${NAMES_FOLLOW}=true`, ...names]
}

/** Why the usage is wrong; unknown options first, with the one that was meant: what else is amiss may follow from them. */
export function explain(reason: string, argv: readonly string[], parser: unknown): string {
  const { key, alias } = (parser as ParserOptions).getOptions()
  const names = [...Object.keys(key), ...Object.values(alias).flat()]
  const unknown = argv
    .flatMap((part) => /^--(?:no-)?([^=]+)/.exec(part)?.[1] ?? [])
    .filter((name) => !names.includes(name))
    .map((name) => {
      const like = nearest(
        name,
        names.filter((other) => other.length > 1),
      )
      return `unknown option --${name}${like === undefined ? '' : `: did you mean --${like}?`}`
    })
  return unknown.length > 0
    ? unknown.join('; ')
    : (missing(reason, parser) ?? notOffered(reason, parser) ?? withoutStop(reason))
}

/**
 * What is missing, and how the command is called; undefined: nothing. yargs counts words and names options without
 * dashes, and tells it in this text only.
 */
function missing(said: string, parser: unknown): string | undefined {
  const options = /^Missing required arguments?: (.+)$/.exec(said)?.[1]?.split(', ')
  if (options === undefined && !said.startsWith('Not enough non-option arguments')) return undefined
  const commands = commandsOf(parser)
  const call = ['nodule', ...commands.slice(0, -1).map((text) => text.split(' ')[0]), ...commands.slice(-1)]
  const what = options?.map((name) => `--${name} is missing`).join(', ') ?? 'too few words'
  return `${what}: expected ${[...call, ...(options ?? []).map((name) => `--${name} ...`)].join(' ')}`
}

/** The commands of the call, as they were defined: "weights <file>", "convert <file>". */
function commandsOf(parser: unknown): string[] {
  return (parser as ParserOptions).getInternalMethods().getContext().fullCommands
}

/** What is none of an option's or a word's values, on one line; undefined where that is not what yargs says. */
function notOffered(said: string, parser: unknown): string | undefined {
  const values = [...said.matchAll(/^ +Argument: (\S+), Given: (.*), Choices: (.*)$/gm)]
  if (values.length === 0) return undefined
  const words = commandsOf(parser).join(' ')
  return values
    .map(([, name, given, choices]) => {
      const what = words.includes(`<${name}>`) ? `<${name}>` : `--${name}`
      return `${what}: expected one of ${choices}, not ${given}`
    })
    .join('; ')
}

function withoutStop(text: string): string {
  return text.replace(/[.\s]+$/, '')
}

/**
 * Wrong usage that yargs lets pass: an option given twice that takes one value; no value or a word for a number; "--no-"
 * before an option that takes a value, which would become false or 0; the word "-", which it drops; empty names.
 */
export function checkValues(
  given: Readonly<Record<string, unknown>>,
  argv: readonly string[],
  parser: unknown,
): true {
  const { array, boolean, key, number } = (parser as ParserOptions).getOptions()
  for (const [at, word] of argv.entries()) {
    if ((word === '-' || word === '') && !takesWord(argv[at - 1], parser))
      throw new YError(
        word === ''
          ? 'an empty name was given (an unset variable?).'
          : '-: standard input is not read; name a file.',
      )
    const denied = firstForm(/^--no-([\w-]+)$/.exec(word)?.[1])
    if (denied in key && !boolean.includes(denied)) throw new YError(`${word}: --${denied} takes a value.`)
    // Nothing behind "=" would be 0.
    const [, dashed = '', name, empty] = /^(--?([\w-]+))(=\s*)?$/.exec(word) ?? []
    // A list would have nothing in it.
    if (empty !== undefined && array.includes(firstForm(name))) throw new YError(`${dashed} needs a value.`)
    const isNumber = empty === undefined && /^-?[\d.]/.test(argv[at + 1] ?? '')
    if (number.includes(firstForm(name)) && !isNumber) throw new YError(`${dashed} needs a number.`)
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

/** Whether a word is an option that takes the next word, whatever that is. */
function takesWord(word = '', parser: unknown): boolean {
  const { alias, array, boolean, key } = (parser as ParserOptions).getOptions()
  const name = firstForm(/^--?([\w-]+)$/.exec(word)?.[1])
  const names = [
    name,
    ...Object.entries(alias).flatMap(([first, more]) => (more.includes(name) ? first : [])),
  ]
  return names.some((one) => one in key) && !names.some((one) => array.includes(one) || boolean.includes(one))
}

/** An option's name as it was defined, of that or of its form in camel case, which yargs takes too; '': none. */
function firstForm(name = ''): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** What yargs' types leave out: the names of the options by kind. */
export interface ParserOptions {
  getOptions: () => {
    array: string[]
    boolean: string[]
    number: string[]
    key: Record<string, unknown>
    alias: Record<string, string[]>
  }
  getInternalMethods: () => { getContext: () => { fullCommands: string[] } }
}

/** What yargs itself throws for wrong usage. */
class YError extends Error {
  override readonly name = 'YError'
}
