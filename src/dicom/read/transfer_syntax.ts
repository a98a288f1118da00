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

export type CompressedFamily = 'rle' | 'jpeg' | 'jpegls' | 'jpeg2000' | 'htj2k'

/** Compressed transfer syntaxes by codec. */
export const COMPRESSED: Readonly<Record<string, CompressedFamily>> = {
  '1.2.840.10008.1.2.5': 'rle',
  // Baseline, extended (8 and 12 bits), the retired spectral-selection and progressive ones, lossless.
  '1.2.840.10008.1.2.4.50': 'jpeg',
  '1.2.840.10008.1.2.4.51': 'jpeg',
  '1.2.840.10008.1.2.4.53': 'jpeg',
  '1.2.840.10008.1.2.4.55': 'jpeg',
  '1.2.840.10008.1.2.4.57': 'jpeg',
  '1.2.840.10008.1.2.4.70': 'jpeg',
  '1.2.840.10008.1.2.4.80': 'jpegls',
  '1.2.840.10008.1.2.4.81': 'jpegls',
  '1.2.840.10008.1.2.4.90': 'jpeg2000',
  '1.2.840.10008.1.2.4.91': 'jpeg2000',
  '1.2.840.10008.1.2.4.201': 'htj2k',
  '1.2.840.10008.1.2.4.202': 'htj2k',
  '1.2.840.10008.1.2.4.203': 'htj2k',
}
