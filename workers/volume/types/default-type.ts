/** The type of volumes that name none. Its id is fixed, so that a project object knows it without asking the region. */
export const DEFAULT_TYPE = { id: '0d8f1f2e-5b1c-4c0e-9a57-d1f5e0b7a001', name: '__DEFAULT__', description: 'Default Volume Type' }
export const DEFAULT_ZONE = 'nova'
