import ArgumentParser
import Foundation

/// `quillan quickstart`.
struct QuickstartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quickstart",
    abstract: "Train a small model on two-digit addition: first supervised, then by reinforcement.",
    discussion: """
      Starts the ranks itself (mpirun), with the recipe quickstart.yaml that belongs to the program. Prints the accuracy \
      before and after, sample completions, and the path of the plot. Takes three to four minutes on two cores. Writes \
      two run directories under runs in the current folder.
      """)

  @Option(help: ArgumentHelp("Number of ranks.", valueName: "n"))
  var ranks = 2

  @OptionGroup var overrides: OverrideOptions

  func validate() throws {
    // More ranks than groups of a step are reported by the run, which knows the overrides.
    if !(1...9999).contains(ranks) { throw ValidationError("--ranks must be from 1 to 9999, got \(ranks)") }
  }

  func run() throws {
    let folder = try Installation().folder
    setenv("QUILLAN_PROGRAM", Installation.program, 1)
    let words =
      ["\(folder)/launch/both-phases", "--ranks", "\(ranks)", "--config", "\(folder)/configs/quickstart.yaml"]
      + overrides.set.flatMap { ["--set", $0] }
    var arguments = words.map { strdup($0) }
    defer { arguments.forEach { free($0) } }
    arguments.append(nil)
    // The script takes this process's place, so that signals and the exit code are its own.
    execv(words[0], arguments)
    let reason = String(cString: strerror(errno))
    throw CommandError(.failure, at: words[0], "cannot be started: \(reason)", remedy: "check its permissions")
  }
}
