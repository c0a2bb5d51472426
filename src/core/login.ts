/** Who may use the control routes of a gateway that asks. */
export interface Login {
  readonly user: string
  readonly password: string
}
