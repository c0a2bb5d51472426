package main

func main() { forkWatchdog().run() }
