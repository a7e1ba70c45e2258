/**
 * Who may read what is kept. What people say on the phone is not for every user of the machine; nor
 * is what was done with it.
 *
 * Imports nothing.
 */

/** Of files: their owner writes, their group reads. */
export const FILE_MODE = 0o640;
/** Of folders. */
export const FOLDER_MODE = 0o750;
