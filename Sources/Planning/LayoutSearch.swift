import Configuration
import Errors
import Learning

/// The possible layouts of a run on a cluster, fastest first, and the reasons why other layouts are impossible.
public struct LayoutSearch: Sendable {
  /// A possible layout.
  public struct Choice: Sendable {
    public let plan: StepPlan
    /// The time of a step on one rank with the same threads, divided by the number of ranks times the time on all ranks.
    public let efficiency: Double

    public var layout: StepPlan.Layout { plan.layout }
  }

  /// Impossible layouts and the reason.
  public struct Rejection: Sendable, Equatable {
    public let layouts: String
    public let reason: String
  }

  /// Possible layouts by time, then memory.
  public private(set) var choices: [Choice] = []
  public private(set) var rejections: [Rejection] = []
  /// The fraction of the memory of a host that ranks may use.
  public static let usableMemory = 0.9

  private let configuration: RunConfiguration
  private let parameters: ParameterPlan
  private let cluster: ClusterDescription
  private let promptLength: Int
  private let calibration: Calibration

  /// Tries every number of ranks per host that divides its cores, or only `ranksPerHost`, with every P that divides the
  /// mini-MoEs and the minimum number of accumulation steps (a power of two) that fits into memory.
  public init(
    _ configuration: RunConfiguration, _ parameters: ParameterPlan, _ cluster: ClusterDescription,
    ranksPerHost: Int? = nil, promptLength: Int, _ calibration: Calibration
  ) {
    self.configuration = configuration
    self.parameters = parameters
    self.cluster = cluster
    self.promptLength = promptLength
    self.calibration = calibration
    let numbers = ranksPerHost.map { [$0] } ?? Self.divisors(cluster.cores)
    for number in numbers { search(ranksPerHost: number) }
    let miniMoEs = configuration.model.numMiniMoes
    rejections.append(
      Rejection(
        layouts: "other P", reason: "P must divide model.num_mini_moes \(miniMoEs)"))
    choices.sort { ($0.plan.seconds, $0.plan.memory.total) < ($1.plan.seconds, $1.plan.memory.total) }
  }

  private mutating func search(ranksPerHost: Int) {
    let name = Self.name(ranksPerHost)
    let ranks = cluster.hosts * ranksPerHost
    guard ranksPerHost <= cluster.cores else {
      rejections.append(Rejection(layouts: name, reason: "a host has \(FigureText.count(cluster.cores, "core"))"))
      return
    }
    let rl = configuration.rl
    let trajectories = Saturating.product(rl.batchSize, rl.numTrajectories)
    guard ranks <= trajectories else {
      rejections.append(
        Rejection(
          layouts: name,
          reason: "\(ranks) ranks need a trajectory each, but rl.batch_size · rl.num_trajectories is \(trajectories)"))
      return
    }
    var indivisible: [Int] = []
    for expert in Self.divisors(configuration.model.numMiniMoes) {
      guard ranks.isMultiple(of: expert) else {
        indivisible.append(expert)
        continue
      }
      search(ranksPerHost: ranksPerHost, expert: expert)
    }
    if !indivisible.isEmpty {
      let list = indivisible.map(String.init).joined(separator: ", ")
      rejections.append(Rejection(layouts: "\(name), P \(list)", reason: "P must divide \(ranks) ranks"))
    }
  }

  private mutating func search(ranksPerHost: Int, expert: Int) {
    var layout = StepPlan.Layout(
      hosts: cluster.hosts, ranksPerHost: ranksPerHost, threads: cluster.cores / ranksPerHost, expert: expert,
      accumulationSteps: 1)
    let room = Int(Double(cluster.memory) * Self.usableMemory)
    while true {
      let plan = self.plan(layout)
      if plan.memory.total <= room / ranksPerHost {
        choices.append(Choice(plan: plan, efficiency: efficiency(plan)))
        return
      }
      // With reproducible sums, accumulation steps do not determine the micro-batches.
      guard !configuration.parallel.reproducible, layout.accumulationSteps * 2 <= plan.memory.sequences else {
        rejections.append(
          Rejection(
            layouts: "\(Self.name(ranksPerHost)), P \(expert)",
            reason: "a rank needs \(FigureText.bytes(plan.memory.total)) even with micro-batches of "
              + "\(plan.memory.microBatchTokens) tokens, but has \(FigureText.bytes(room / ranksPerHost))"))
        return
      }
      layout.accumulationSteps *= 2
    }
  }

  /// `2 ranks per host`.
  public static func name(_ ranksPerHost: Int) -> String {
    ranksPerHost == 1 ? "1 rank per host" : "\(ranksPerHost) ranks per host"
  }

  private static func divisors(_ number: Int) -> [Int] { (1...max(1, number)).filter { number.isMultiple(of: $0) } }

  private func plan(_ layout: StepPlan.Layout) -> StepPlan {
    StepPlan(configuration, parameters, layout, cluster, promptLength: promptLength, calibration)
  }

  private func efficiency(_ plan: StepPlan) -> Double {
    var alone = plan.layout
    alone.hosts = 1
    alone.ranksPerHost = 1
    alone.expert = 1
    alone.accumulationSteps = plan.layout.accumulationSteps * plan.layout.ranks
    return self.plan(alone).seconds / (Double(plan.layout.ranks) * plan.seconds)
  }
}
