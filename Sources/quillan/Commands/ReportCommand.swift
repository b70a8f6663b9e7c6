import ArgumentParser
import Training

/// `quillan report`.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write one HTML page about one run, or several beside each other.",
    discussion: """
      Curves, evaluations, alarms, the council's loads over time, sample completions token by token, and the \
      configurations with their differences. The page needs no network and follows light or dark. A run that is still \
      going on is shown as far as it goes.
      """)

  @Argument(help: ArgumentHelp("Run directories.", valueName: "run"))
  var runs: [String]

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The page (default: report.html in the first run).", valueName: "file"))
  var output: String?

  func run() throws {
    let contents = try runs.map { try RunContent(path: $0.hasSuffix("/") ? String($0.dropLast()) : $0) }
    let path = output ?? "\(contents[0].path)/report.html"
    try RunReport(contents).write(to: path)
    try StandardOutput.write("report  \(path)\n")
  }
}
