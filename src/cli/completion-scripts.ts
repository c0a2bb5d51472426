/** What a shell loads to have command lines completed: each asks `faasdock completion --words` for what may come next. */
export const COMPLETION_SCRIPTS = {
  bash: String.raw`# faasdock: eval "$(faasdock completion bash)" in ~/.bashrc
_faasdock() {
  local line cur="${'$'}{COMP_WORDS[COMP_CWORD]}"
  [[ $cur == "=" ]] && cur=""
  COMPREPLY=()
  while IFS='' read -r line; do
    if [[ $line == ":files" ]]; then
      compopt -o default 2>/dev/null
      return
    fi
    line="${'$'}{line%%$'\t'*}"
    [[ $line == "$cur"* ]] && COMPREPLY+=("$line")
  done < <(faasdock completion --words -- "${'$'}{COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _faasdock faasdock
`,
  zsh: String.raw`#compdef faasdock
# faasdock: eval "$(faasdock completion zsh)" in ~/.zshrc, after compinit
_faasdock() {
  local line
  local -a lines found
  lines=("${'$'}{(@f)$(faasdock completion --words -- "${'$'}{(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ $lines[1] == ":files" ]]; then
    _files
    return
  fi
  for line in $lines; do
    found+=("${'$'}{${'$'}{line%%$'\t'*}//:/\\:}:${'$'}{line#*$'\t'}")
  done
  _describe faasdock found
}
if [[ $funcstack[1] == _faasdock ]]; then
  _faasdock
else
  compdef _faasdock faasdock
fi
`,
  fish: String.raw`# faasdock: faasdock completion fish | source in ~/.config/fish/config.fish
function __faasdock_complete
  set -l words (commandline -opc)
  set -l lines (faasdock completion --words -- $words[2..-1] (commandline -ct) 2>/dev/null)
  if test "$lines[1]" = ":files"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\n' $lines
  end
end
complete -c faasdock -f -a '(__faasdock_complete)'
`,
  powershell: String.raw`# faasdock: faasdock completion powershell | Out-String | Invoke-Expression in $PROFILE
Register-ArgumentCompleter -Native -CommandName faasdock -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { "$_" })
  faasdock completion --words -- @words "$wordToComplete" 2>$null | Where-Object { $_ -ne ':files' } | ForEach-Object {
    $value, $text = $_ -split [char]9, 2
    if (-not $text) { $text = $value }
    if ($value -like "$wordToComplete*") {
      [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $text)
    }
  }
}
`,
} as const

export type Shell = keyof typeof COMPLETION_SCRIPTS
