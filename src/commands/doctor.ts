import type { CommandModule } from 'yargs'
import { examine, printFindings } from '../doctor.js'
import { printResult } from '../output.js'

export const command: CommandModule = {
  command: 'doctor',
  describe: 'Tell what is installed and what to do about what is missing',
  builder: (yargs) =>
    yargs
      .example('$0 doctor', 'versions, addon, CUDA, training engines, onnxruntime providers')
      .example('$0 doctor --json', 'the same for a program'),
  handler: async () => {
    const findings = await examine()
    printResult(findings, () => printFindings(findings))
    if (findings.some((finding) => finding.state === 'broken')) process.exitCode = 1
  },
}
