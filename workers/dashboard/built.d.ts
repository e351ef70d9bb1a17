/** What bin/lib/ui.ts makes of ui/: every file that the dashboard serves, by name. */
export interface BuiltFile {
  type: string
  etag: string
  text: string
}

export declare const FILES: Record<string, BuiltFile>
