import type { CommandModule } from 'yargs'
import { examine, printFindings } from '../doctor.js'

interface Flags {
  json: boolean
}

export const command: CommandModule<object, Flags> = {
  command: 'doctor',
  describe: 'Tell what is installed and what to do about what is missing',
  builder: (yargs) =>
    yargs
      .option('json', { type: 'boolean', default: false, describe: 'Print the findings as JSON' })
      .example('$0 doctor', 'versions, addon, CUDA, training engines, onnxruntime providers')
      .example('$0 doctor --json', 'the same for a program'),
  handler: async ({ json }) => {
    const findings = await examine()
    process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : printFindings(findings))
    if (findings.some((finding) => finding.state === 'broken')) process.exitCode = 1
  },
}
