/** Names of fields whose values are never shown again: not in faults, not in logs. */
const SECRET_NAME = /(^|_)(password|passwd|passcode|secret|token|blob|user_data|connection_info|private_key)$|pass$/i

export const isSecretName = (name: string): boolean => SECRET_NAME.test(name)
export const HIDDEN = '***'
