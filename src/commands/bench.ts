import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { CommandModule } from 'yargs'
import { NoduleError } from '../errors.js'
import { wantsJson } from '../terminal/output.js'

interface BenchFlags {
  names: string[]
  output: string | undefined
  markdown: string | undefined
  seconds: number
  case: string[]
  peer: string[]
  beside: number
  limit: number | undefined
}

/** The runner is a program of its own, outside src: each subject needs a fresh process. */
async function runBenchmarks(flags: readonly string[]): Promise<number> {
  const compiled = import.meta.url.endsWith('.js')
  const file = fileURLToPath(new URL(`../../benchmarks/run.${compiled ? 'js' : 'ts'}`, import.meta.url))
  if (!existsSync(file))
    throw new NoduleError('UNAVAILABLE', 'the benchmarks are part of a clone, not of the installed package', {
      path: file,
      expected: 'git clone, npm run setup, npm run bench',
    })
  const child = spawn(process.execPath, [...process.execArgv, file, ...flags], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
}

export const command: CommandModule<object, BenchFlags> = {
  command: 'bench [names..]',
  describe: 'Time nodule against its TypeScript twins and other programs on this machine',
  builder: (yargs) =>
    yargs
      .positional('names', {
        describe: 'Subjects, such as kernels; all by default',
        type: 'string',
        array: true,
        default: [] as string[],
      })
      .option('output', { alias: 'o', describe: 'Also write the rows to this JSON file', type: 'string' })
      .option('markdown', { describe: 'Also write the tables to this file', type: 'string' })
      .option('seconds', { describe: 'Time for each case, s', type: 'number', default: 2 })
      .option('case', {
        describe: 'Only cases whose names hold this text (train-step)',
        type: 'string',
        array: true,
        default: [] as string[],
      })
      .option('peer', {
        describe: 'Only peers whose names hold this text (train-step)',
        type: 'string',
        array: true,
        default: [] as string[],
      })
      .option('beside', { describe: 'Busy processes that run meanwhile', type: 'number', default: 0 })
      .option('limit', { describe: 'Stop after this time, s', type: 'number' })
      .example('$0 bench kernels', 'Native kernels against their TypeScript twins')
      .example('$0 bench -o bench.json', 'Everything, with the rows as JSON'),
  handler: async ({ names, output, markdown, seconds, case: cases, peer: peers, beside, limit }) => {
    const flags = [...names, '--seconds', String(seconds), '--beside', String(beside)]
    for (const text of cases) flags.push('--case', text)
    for (const text of peers) flags.push('--peer', text)
    if (limit !== undefined) flags.push('--limit', String(limit))
    if (wantsJson()) flags.push('--print-json')
    if (output !== undefined) flags.push('--json', output)
    if (markdown !== undefined) flags.push('--markdown', markdown)
    process.exitCode = await runBenchmarks(flags)
  },
}
