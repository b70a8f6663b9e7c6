import Configuration
import Learning
import Models
import Rollouts

/// The predicted time of an optimizer step on a cluster.
///
/// The time of a phase is its work divided by the work rate of the cores, plus its bytes divided by their memory rate. The
/// time of a message is its bytes divided by the slower of link and host rate, plus latencies. Phases do not overlap. Not
/// modelled: uneven loads of the council, completions of different lengths (all have maximum length), rewards, checkpoints
/// and evaluation.
public struct StepPlan: Sendable {
  /// The assignment of ranks to hosts and work to ranks.
  public struct Layout: Sendable, Equatable {
    public var hosts: Int
    public var ranksPerHost: Int
    /// Threads per rank.
    public var threads: Int
    /// P, ranks per expert group.
    public var expert: Int
    public var accumulationSteps: Int

    public var ranks: Int { hosts * ranksPerHost }

    public init(hosts: Int, ranksPerHost: Int, threads: Int, expert: Int, accumulationSteps: Int) {
      self.hosts = hosts
      self.ranksPerHost = ranksPerHost
      self.threads = threads
      self.expert = expert
      self.accumulationSteps = accumulationSteps
    }
  }

  /// A phase of a step.
  public struct Row: Sendable, Equatable {
    public let name: String
    public let seconds: Double
    /// Whether the phase is communication.
    public let isMessage: Bool
  }

  public let layout: Layout
  public let rows: [Row]
  public let traffic: TrafficPlan
  public let memory: MemoryPlan
  /// Prompt and completion tokens of a step over all ranks.
  public let tokens: Int

  public var seconds: Double { rows.reduce(0) { $0 + $1.seconds } }
  /// Seconds of communication.
  public var messageSeconds: Double { rows.reduce(0) { $0 + ($1.isMessage ? $1.seconds : 0) } }
  public var tokensPerSecond: Double { Double(tokens) / seconds }

  /// Bytes that a micro-batch moves independently of its number of tokens: gradients are read and written, packed weights
  /// are read.
  static func passBytes(held: Int) -> Double { 9 * Double(held) }

  /// - Parameter promptLength: tokens per prompt.
  public init(
    _ configuration: RunConfiguration, _ parameters: ParameterPlan, _ layout: Layout, _ cluster: ClusterDescription,
    promptLength: Int, _ calibration: Calibration
  ) {
    var configuration = configuration
    configuration.parallel.expert = layout.expert
    configuration.rl.accumulationSteps = layout.accumulationSteps
    let rl = configuration.rl
    let generated = configuration.objective.maxTrajectoryLen
    let length = promptLength + generated
    let memory = MemoryPlan(configuration, parameters, ranks: layout.ranks, promptLength: promptLength)
    let own = Saturating.product(memory.sequences, length)
    let parts = max(1, Int((Double(own) / Double(memory.microBatchTokens)).rounded(.up)))
    traffic = TrafficPlan(
      configuration, parameters, ranks: layout.ranks, ranksPerHost: layout.ranksPerHost, tokens: own,
      microBatches: parts)
    tokens = Saturating.product(Saturating.product(rl.batchSize, rl.numTrajectories), length)

    let council = parameters.councilStoreCount / layout.expert
    let replicated = parameters.storeCount - parameters.councilStoreCount
    let held = replicated + council
    let updated =
      configuration.optimizer.shard
      ? replicated / layout.ranks + council / max(1, layout.ranks / layout.expert) : held
    let cores = Double(layout.threads)
    func passing(_ bytes: Double) -> Double { bytes / calibration.memory / cores }

    var rows: [Row] = []
    func add(_ name: String, _ seconds: Double, isMessage: Bool = false) {
      if seconds > 0 { rows.append(Row(name: name, seconds: seconds, isMessage: isMessage)) }
    }
    add("sampling", Self.sampling(configuration, parameters, layout, promptLength: promptLength, calibration) / cores)
    let work = ModelWork(configuration, positions: Double(length + 1) / 2)
    let predicted = Double(generated) / Double(length)
    if configuration.objective.klCoef != 0 {
      add("reference", Double(own) * (work.forward + predicted * work.head) / calibration.training / cores)
    }
    add(
      "forward and backward",
      Double(own) * work.training(predicted: predicted, recomputed: rl.gradientCheckpointing) / calibration.training
        / cores + passing(Self.passBytes(held: held) * Double(parts)))
    // Clearing and norm of the gradients. Fixed-point sums are also cleared and read once, and each reduction unit is added
    // to them in one pass, which clears the fp32 gradients of the unit.
    var bytes = 8 * Double(held)
    if configuration.parallel.reproducible {
      let units = Double(memory.sequences) / Double(MicroBatches.unitSequences(rl.numTrajectories, length: length))
      let stacks = rl.useMixedPrecision ? parameters.stackStoreCount / layout.expert : 0
      let others = Double(layout.expert - 1)
      bytes += 20 * Double(held) + units * 24 * (Double(held - stacks) + Double(council - stacks) * others)
      bytes += units * 16 * Double(stacks) * (1 + others)
    }
    add("sums and norm", passing(bytes))
    add(
      "optimizer and packing", UpdateWork.of(held: held, updated: updated, configuration) / calibration.update / cores)
    for row in traffic.rows { add(row.name, Self.seconds(row, cluster, calibration), isMessage: true) }
    self.rows = rows
    self.layout = layout
    self.memory = memory
  }

  /// Seconds of one core that rollouts contribute to a step.
  private static func sampling(
    _ configuration: RunConfiguration, _ parameters: ParameterPlan, _ layout: Layout, promptLength: Int,
    _ calibration: Calibration
  ) -> Double {
    let (rl, model) = (configuration.rl, configuration.model)
    let generated = configuration.objective.maxTrajectoryLen
    let sequences = DecodingBatch.sequences(configuration, ranks: layout.ranks)
    let groups = (sequences - 1) / max(1, rl.numTrajectories) + 1
    let reading = ModelWork(configuration, positions: Double(promptLength + 1) / 2).reading
    var seconds = Double(groups) * Double(promptLength) * reading / calibration.training
    let positions = Double(promptLength) + Double(generated) / 2
    let work = ModelWork(configuration, positions: positions).sampling
    let weights = DecodingBytes(configuration, parameters)
    let largest = DecodingBatch.rollout(configuration, ranks: layout.ranks)
    func wave(_ batch: Int) -> Double {
      let cache = Double(batch) * 8 * Double(model.numLayers * model.dim) * positions
      return Double(generated)
        * ((weights.bytes(batch: batch) + cache) / calibration.decoding + work * Double(batch) / calibration.sampling)
    }
    seconds += Double(sequences / largest) * wave(largest)
    if sequences % largest > 0 { seconds += wave(sequences % largest) }
    return seconds / Double(rl.ppoEpochs * rl.miniBatches)
  }

  /// Seconds of one kind of message.
  private static func seconds(
    _ row: TrafficPlan.Row, _ cluster: ClusterDescription, _ calibration: Calibration
  ) -> Double {
    let latency = row.linkBytes > 0 ? cluster.latency : calibration.messageLatency
    return max(Double(row.linkBytes) / cluster.link, Double(row.hostBytes) / calibration.messages)
      + Double(row.messages) * latency
  }
}
