import ArgumentParser
import Files
import Reports

/// `quillan report`.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write an HTML page about one run, or comparing several.",
    discussion: """
      The page shows curves, evaluations, alarms, the council's loads over time, sample completions token by token, \
      and the configurations with their differences. It needs no network and has a light and a dark theme. A run in \
      progress is shown up to its last recorded step.
      """)

  @Argument(help: ArgumentHelp("Run directories.", valueName: "run"))
  var runs: [String]

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The page (default: report.html in the first run).", valueName: "file"))
  var output: String?

  @OptionGroup var replacing: OutputOptions

  func validate() throws {
    try PathCheck.validate(["--output": output])
    if replacing.force, output == nil { throw ValidationError("--force goes with --output") }
    for run in runs { try PathCheck.validate(["a run's path": run]) }
  }

  func run() throws {
    try replacing.check(output)
    let contents = try runs.map { try RunContent(path: Path($0).trimmed.text) }
    for problem in contents.flatMap(\.problems) { CommandLog.logger.warning("\(problem)") }
    let path = output ?? Path(contents[0].path).appending("report.html").text
    // The default page in the run's directory belongs to the program, which may replace it.
    try RunReport(contents).write(to: path, policy: output == nil ? .own : replacing.policy)
    try OutputOptions.say("report  \(path)\n", besides: path)
  }
}
