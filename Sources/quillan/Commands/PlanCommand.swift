import ArgumentParser
import Errors
import Planning

/// `quillan plan`: estimates what a configuration needs, without allocating it.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract:
      "Report the parameters of a configuration, and the memory and traffic of a rank; with --hosts also the time of a "
      + "step and the best layouts. Allocates nothing.",
    discussion: """
      'packed' counts the bytes that GEMMs read (codes, scales, padding), 'information' the information content of the \
      values. Activations and the key-value cache are estimates for prompts of maximum length. With --hosts, times are \
      computed from the rates in --calibration; rates that it lacks are those of a reference machine, and listed as \
      assumed.
      """)

  @OptionGroup var options: ConfigurationOptions

  @Option(help: ArgumentHelp("Number of ranks, without --hosts (default: 1).", valueName: "n"))
  var ranks: Int?

  @Option(help: ArgumentHelp("Tokens per prompt in the estimates (default: data.max_prompt_len).", valueName: "n"))
  var promptLength: Int?

  @OptionGroup(title: "Cluster") var cluster: ClusterOptions

  @Flag(help: "Print one JSON object instead of tables.")
  var json = false

  func validate() throws {
    if let ranks, !(1...1_000_000).contains(ranks) {
      throw ValidationError("--ranks must be from 1 to 1000000, got \(ranks)")
    }
    if ranks != nil, cluster.hosts != nil {
      throw ValidationError("--ranks and --hosts exclude each other; give --hosts with --ranks-per-host")
    }
    if let promptLength, !(1...16_777_216).contains(promptLength) {
      throw ValidationError("--prompt-length must be from 1 to 16777216, got \(promptLength)")
    }
  }

  func run() throws {
    let configuration = try options.load()
    for warning in configuration.warnings { CommandLog.logger.warning("\(warning)") }
    let parameters = try ParameterPlan(configuration.model, configuration.precision)
    let promptLength = promptLength ?? configuration.data.longestPrompt
    if let hosts = cluster.hosts {
      let description = try cluster.description(hosts: hosts)
      let calibration = try Calibration(paths: cluster.calibration)
      let search = LayoutSearch(
        configuration, parameters, description, ranksPerHost: cluster.ranksPerHost, promptLength: promptLength,
        calibration)
      let text = ClusterText(configuration, parameters, description, search, calibration)
      try StandardOutput.write(json ? text.json : text.text)
      guard !search.choices.isEmpty else {
        throw CommandError(
          .failure, "no layout of \(FigureText.count(hosts, "host")) can run this configuration",
          remedy: "the table gives the reason for each")
      }
      return
    }
    let ranks = ranks ?? 1
    guard ranks.isMultiple(of: max(1, configuration.parallel.expert)) else {
      throw CommandError(
        .usage,
        "--ranks \(ranks) is not a multiple of parallel.expert \(configuration.parallel.expert), the size of an expert "
          + "group", remedy: "change one of them")
    }
    let memory = MemoryPlan(configuration, parameters, ranks: ranks, promptLength: promptLength)
    let (length, _) = promptLength.addingReportingOverflow(configuration.objective.maxTrajectoryLen)
    let (product, overflow) = memory.sequences.multipliedReportingOverflow(by: length)
    let traffic = TrafficPlan(configuration, parameters, ranks: ranks, tokens: overflow ? Int.max : product)
    try StandardOutput.write(
      json ? PlanText.json(parameters, memory, traffic) : PlanText.text(parameters, memory, traffic))
  }
}
