// The house rules for library code (all of src/ but commands/, terminal/ and cli.ts): it writes nothing to the terminal,
// hears no signals of the process and does not end it; nobody reads the text of a message, which is for people; and the
// flags of the commands are not its business (an error names its parameter).
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './steps.mjs'

const RULES = [
  {
    pattern: /\bprocess\.(stdout|stderr|stdin|exit|exitCode|on|once|off|addListener|abort|kill)\b/g,
    why: 'the process and its terminal belong to src/terminal/: take signal, onProgress, onWarning',
  },
  { pattern: /\bconsole\.\w+/g, why: 'library code prints nothing: take onWarning' },
  {
    pattern:
      /(?:\b(?:message|reason)|(?:describeError|describeBriefly|reasonBeside|String)\(\w*[eE]rror\)|\bstack)\??!?\.(?:includes|startsWith|endsWith|indexOf|match|matchAll|search|replace|replaceAll|split|slice|substring)\(/g,
    why: 'a message is for people: NoduleError has fields (code, fault, path, reason, ...)',
    everywhere: true,
  },
  {
    pattern:
      /\.(?:test|exec)\(\s*(?:\w+\.)*(?:message|reason)\b|\.(?:test|exec)\(\s*(?:describeError|describeBriefly|String)\(\w*[eE]rror/g,
    why: 'a message is for people: NoduleError has fields (code, fault, path, reason, ...)',
    everywhere: true,
  },
]

const FLAG = 'library code names the parameter, the command its flag'

// The entry of a process or thread of its own is its own command line.
const ENTRIES = /_worker\.ts$/

const ALLOWED = [
  // Prints while it is loaded; is kept from it for that time.
  { file: 'engine/tensorflow/engine.ts', code: /^console\./ },
  // Code for another process, in a string.
  { file: 'engine/tensorflow/install.ts', code: /^(process\.exit|console\.log)$/ },
  // V8 tells a lack of memory in words only.
  { file: 'cli.ts', code: /\.test\(error\.message/ },
  // What is not whole, or held, goes when the process ends; whether another process lives is asked by signal 0.
  { file: 'temporaries.ts', code: /^process\.on$/ },
  { file: 'lock.ts', code: /^process\.(on|off)$/ },
  { file: 'processes.ts', code: /^process\.kill$/ },
  // A caller may name standard output as the file to write.
  { file: 'files.ts', code: /^process\.stdout$/ },
  // Custom properties of CSS.
  { file: 'report/style.ts', code: /^--/ },
  // The one place where a foreign error is cut.
  { file: 'errors.ts', code: /describeError\(error\)\.split\(/ },
]

/** What library code does against the rules: "src/FILE: `CODE`: why". */
export function libraryFaults(file, content, flags) {
  const isLibrary = !/^(commands|terminal)\//.test(file) && file !== 'cli.ts' && !ENTRIES.test(file)
  const code = withoutComments(content).replace(/\s*\n\s*(?=\??\.)/g, '')
  const found = RULES.flatMap(({ pattern, why, everywhere }) =>
    everywhere === true || isLibrary ? [...code.matchAll(pattern)].map(([text]) => ({ text, why })) : [],
  )
  if (isLibrary) {
    for (const [text, name] of code.matchAll(/(?<=['"`( ])--([a-z][a-z-]+)\b/g))
      if (flags.has(name)) found.push({ text, why: FLAG })
    for (const [text] of code.matchAll(/--\$\{/g)) found.push({ text, why: FLAG })
  }
  return found
    .filter(({ text }) => !ALLOWED.some((allowed) => allowed.file === file && allowed.code.test(text)))
    .map(({ text, why }) => `src/${file}: \`${text}\`: ${why}`)
}

function withoutComments(content) {
  return content.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}

/** The options of all commands. */
function flagsOf(folder) {
  const names = new Set()
  for (const name of readdirSync(folder))
    for (const [, flag] of readFileSync(join(folder, name), 'utf8').matchAll(/\.option\('([a-z-]+)'/g))
      names.add(flag)
  return names
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const source = join(root, 'src')
  const flags = flagsOf(join(source, 'commands'))
  const problems = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => libraryFaults(name, readFileSync(join(source, name), 'utf8'), flags))
  for (const problem of problems) console.error(problem)
  process.exit(problems.length > 0 ? 1 : 0)
}
