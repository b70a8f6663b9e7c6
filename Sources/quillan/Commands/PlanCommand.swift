import ArgumentParser
import Foundation
import Tensors
import Training

/// `quillan plan`: what a configuration costs, without allocating it.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract:
      "Report a configuration's parameters, memory and traffic of a rank and, on given hosts, a step's time and the best "
      + "layouts, without allocating anything.",
    discussion: """
      'packed' counts the bytes that products read (codes, scales, padding); 'information' the bits that the values \
      can hold. Activations and the key-value cache are estimates for the longest prompts. With --hosts, times follow \
      from rates that --calibration has measured or, where it has not, from those of one machine, which are listed as \
      assumed.
      """)

  @OptionGroup var options: ConfigurationOptions

  @Option(help: ArgumentHelp("Ranks that share the work, where --hosts is not given (default: 1).", valueName: "n"))
  var ranks: Int?

  @Option(help: ArgumentHelp("Tokens of a prompt, for the estimates (default: data.max_prompt_len).", valueName: "n"))
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
    let promptLength = promptLength ?? configuration.data.maxPromptLen
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
          .failed, "no layout of \(FigureText.count(hosts, "host")) can run this; the table says what rules each out")
      }
      return
    }
    let ranks = ranks ?? 1
    guard ranks.isMultiple(of: max(1, configuration.parallel.expert)) else {
      throw CommandError(
        .usage,
        "--ranks \(ranks) cannot be divided into expert groups of parallel.expert \(configuration.parallel.expert)")
    }
    let memory = MemoryPlan(configuration, parameters, ranks: ranks, promptLength: promptLength)
    let (length, _) = promptLength.addingReportingOverflow(configuration.objective.maxTrajectoryLen)
    let (product, overflow) = memory.sequences.multipliedReportingOverflow(by: length)
    let traffic = TrafficPlan(configuration, parameters, ranks: ranks, tokens: overflow ? Int.max : product)
    try StandardOutput.write(
      json ? PlanText.json(parameters, memory, traffic) : PlanText.text(parameters, memory, traffic))
  }
}

/// The machines of a plan.
struct ClusterOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Plan a run on this many hosts.", valueName: "n"))
  var hosts: Int?

  @Option(
    help: ArgumentHelp("Ranks on a host (default: every number that divides its cores is looked at).", valueName: "n"))
  var ranksPerHost: Int?

  @Option(help: ArgumentHelp("Cores of a host (default: this machine's).", valueName: "n"))
  var cores: Int?

  @Option(help: ArgumentHelp("Memory of a host, such as 64GiB (default: this machine's).", valueName: "size"))
  var memory: String?

  @Option(help: ArgumentHelp("Rate of a host's link, such as 25Gbit or 1.2GB.", valueName: "rate"))
  var link = "10Gbit"

  @Option(help: ArgumentHelp("Time of a short message between hosts.", valueName: "time"))
  var latency = "20us"

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Rates of cores and messages: what 'bench train-step', 'decode', 'memory' or 'mpi' printed with --json. Repeatable.",
      valueName: "file"))
  var calibration: [String] = []

  func validate() throws {
    for (name, value, most) in [
      ("hosts", hosts, 1_000_000), ("ranks-per-host", ranksPerHost, 4096), ("cores", cores, 4096),
    ] {
      if let value, !(1...most).contains(value) {
        throw ValidationError("--\(name) must be from 1 to \(most), got \(value)")
      }
    }
    for file in calibration { try PathCheck.validate(["--calibration": file]) }
    if hosts == nil, ranksPerHost != nil || cores != nil || memory != nil || !calibration.isEmpty {
      throw ValidationError("--ranks-per-host, --cores, --memory and --calibration need --hosts")
    }
    if QuantityText.rate(link) == nil {
      throw ValidationError("--link '\(link)' is no rate; write it as 10Gbit or 1.2GB")
    }
    if QuantityText.seconds(latency) == nil {
      throw ValidationError("--latency '\(latency)' is no time; write it as 20us or 0.5ms")
    }
    if let memory, QuantityText.bytes(memory) == nil {
      throw ValidationError("--memory '\(memory)' is no size; write it as 64GiB or 512GB")
    }
  }

  /// - Precondition: the options are valid.
  func description(hosts: Int) throws -> ClusterDescription {
    let machine = ProcessInfo.processInfo
    guard let link = QuantityText.rate(link), let latency = QuantityText.seconds(latency) else {
      preconditionFailure("options that were not validated")
    }
    return ClusterDescription(
      hosts: hosts, cores: cores ?? UsableCores.current.count,
      memory: memory.flatMap(QuantityText.bytes) ?? Int(machine.physicalMemory), link: link, latency: latency)
  }
}
