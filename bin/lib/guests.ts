/** Ends what outlives the agent on the real host: guests and host services. Only for `stop --guests`: an explicit order. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { type Home, ROOT } from './home.ts'

export async function stopGuests(home: Home): Promise<void> {
  await new Promise<void>((resolve) => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'agent/main.ts'), '--state', home.host, '--teardown'], { stdio: 'inherit' })
    child.on('exit', () => resolve())
    child.on('error', () => resolve())
  })
}
