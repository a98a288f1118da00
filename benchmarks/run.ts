/**
 * Runs benchmark subjects, each in a fresh process, and prints one table.
 *
 *   run [NAME...] [--json FILE] [--print-json] [--markdown FILE] [--seconds N]
 *
 * With --print-json the rows go to stdout as JSON, the tables to stderr.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { invalidParameter } from '../src/check.js'
import { NoduleError } from '../src/errors.js'
import { writeFileAtomic } from '../src/files.js'
import { guardOutput, printLine, printResult, setOutputStyle } from '../src/terminal/output.js'
import { describeMachine, machineLine } from './machine.js'
import { subjects } from './subjects.js'
import { formatTable } from './table.js'
import type { Row } from './types.js'

/** The child's answer is the line that starts so; whatever else it prints goes to stderr. */
const ANSWER = 'nodule-benchmark-rows '

async function runHere(name: string, seconds: number): Promise<void> {
  const { subject } = (await subjects[name]?.()) ?? {}
  if (subject === undefined) throw invalidParameter('subject', Object.keys(subjects).join(', '), name)
  const rows = await subject.run({ seconds })
  process.stdout.write(`${ANSWER}${JSON.stringify(rows)}\n`)
}

async function runInFreshProcess(name: string, seconds: number): Promise<Row[]> {
  const file = fileURLToPath(import.meta.url)
  const flags = [...process.execArgv, file, '--inside', name, '--seconds', String(seconds)]
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  const lines = output.split('\n')
  const answer = lines.find((line) => line.startsWith(ANSWER))
  for (const line of lines) if (line !== '' && line !== answer) process.stderr.write(`${line}\n`)
  if (code !== 0 || answer === undefined)
    throw new NoduleError('UNAVAILABLE', `benchmark ${name} failed with exit status ${code}`)
  return JSON.parse(answer.slice(ANSWER.length)) as Row[]
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      'print-json': { type: 'boolean', default: false },
      markdown: { type: 'string' },
      seconds: { type: 'string', default: '2' },
      inside: { type: 'string' },
    },
  })
  const seconds = Number(values.seconds)
  if (!(seconds > 0)) throw invalidParameter('seconds', 'positive number', values.seconds)
  if (values.inside !== undefined) return runHere(values.inside, seconds)

  setOutputStyle({ json: values['print-json'], quiet: false })
  const names = positionals.length > 0 ? positionals : Object.keys(subjects)
  for (const name of names)
    if (!Object.hasOwn(subjects, name))
      throw invalidParameter('subject', Object.keys(subjects).join(', '), name)
  const machine = describeMachine()
  printLine(`${machineLine(machine)}\n`)
  const rows: Row[] = []
  for (const name of names) {
    const made = await runInFreshProcess(name, seconds)
    rows.push(...made)
    printLine(`${formatTable(made)}\n`)
  }
  const command = `npm run bench -- ${names.join(' ')}`
  const result = { machine, command, rows }
  printResult(result, '')
  if (values.json !== undefined) await writeFileAtomic(values.json, `${JSON.stringify(result, null, 2)}\n`)
  if (values.markdown !== undefined)
    await writeFileAtomic(
      values.markdown,
      `${machineLine(machine)}; \`${command}\`\n\n${formatTable(rows)}\n`,
    )
}

guardOutput()
try {
  await main()
} catch (error) {
  if (!(error instanceof NoduleError) && !(error instanceof TypeError)) throw error
  console.error(`bench: ${error.message}`)
  process.exitCode = error instanceof TypeError ? 2 : 1
}
