import { count } from '../words.js'

/** Why there is no volume: nothing is there, nothing of a kind that is read, or what the files lack. */
export class WhyNone {
  #files = 0
  #foreign = 0
  readonly #reasons = new Set<string>()

  /** A file that is no image. */
  foreign(): void {
    this.#files++
    this.#foreign++
  }

  /** A file or series that is no volume. @param reason empty where the user is told elsewhere */
  unfit(reason: string): void {
    this.#files++
    if (reason !== '') this.#reasons.add(reason)
  }

  /** The first three reasons, each after ": " or "; "; empty where there are none to tell. */
  inWords(): string {
    if (this.#files === 0) return ': there are no files'
    if (this.#files === this.#foreign)
      return `: ${count(this.#files, 'file')}, but no DICOM, NIfTI or MetaImage`
    const reasons = [...this.#reasons]
    if (reasons.length === 0) return ''
    const more = reasons.length > 3 ? `; ${reasons.length - 3} more` : ''
    return `: ${reasons.slice(0, 3).join('; ')}${more}`
  }
}
