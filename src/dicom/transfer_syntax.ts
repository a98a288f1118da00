export const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2'
export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
export const DEFLATED_LITTLE_ENDIAN = '1.2.840.10008.1.2.1.99'
export const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2'

/** True where the stored values lie in the file as they are, with no codec. */
export function isUncompressed(transferSyntax: string): boolean {
  return (
    transferSyntax === IMPLICIT_LITTLE_ENDIAN ||
    transferSyntax === EXPLICIT_LITTLE_ENDIAN ||
    transferSyntax === DEFLATED_LITTLE_ENDIAN ||
    transferSyntax === EXPLICIT_BIG_ENDIAN
  )
}
