import ArgumentParser

/// Configuration overrides on the command line.
struct OverrideOptions: ParsableArguments {
  @Option(
    name: .long, parsing: .singleValue,
    help: ArgumentHelp("Override one key, for example rl.batch_size=8. Repeatable.", valueName: "section.key=value"))
  var set: [String] = []
}
