// Rules of the code that no linter knows: what is spread into a call lies on the stack (src/lists.ts has the ways that
// take lists of any length); JSON of files is read by src/json.ts.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './steps.mjs'

const SPREAD = /(?:\.(?:push|unshift|splice)|Math\.(?:max|min)|String\.from(?:CharCode|CodePoint))\(/g
// Files of the package itself, words of a command line, and scripts of the page, which read what nodule wrote itself.
const OWN_JSON = [
  'json.ts',
  'terminal/doctor.ts',
  'version.ts',
  'config/read_hypes.ts',
  'report/run_files.ts',
  'report/page/',
  'training/',
  'checkpoints/',
  'report/script',
]

/** Whether `...` stands among the arguments of the call whose bracket is at `open`; deeper ones are others'. */
function isSpread(text, open) {
  for (let at = open, depth = 0; at < text.length; at++) {
    if ('([{'.includes(text[at])) depth++
    else if (')]}'.includes(text[at]) && --depth === 0) return false
    else if (depth === 1 && text.startsWith('...', at)) return true
  }
  return false
}

const problems = []
const source = join(root, 'src')
for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.ts')) continue
  const content = readFileSync(join(source, name), 'utf8')
  const report = (index, rule) =>
    problems.push(`src/${name}:${content.slice(0, index).split('\n').length}: ${rule}`)
  for (const { index, 0: call } of content.matchAll(SPREAD))
    if (isSpread(content, index + call.length - 1))
      report(index, `${call}...): append, least or greatest of src/lists.ts take lists of any length`)
  if (OWN_JSON.some((place) => name === place || name.startsWith(place))) continue
  for (const { index } of content.matchAll(/\bJSON\.parse\(/g))
    report(index, 'JSON.parse: parseJson of src/json.ts bounds the depth and names the file')
}
for (const problem of problems) console.error(problem)
process.exit(problems.length > 0 ? 1 : 0)
