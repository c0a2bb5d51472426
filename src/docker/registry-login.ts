/** What the engine needs to sign in to one registry. */
export interface RegistryLogin {
  readonly username: string
  readonly password: string
  readonly identitytoken?: string
  readonly registrytoken?: string
  readonly serveraddress?: string
}
