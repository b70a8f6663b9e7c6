import Errors
import Learning

/// Watches the metrics of a run and raises alarms, with the step at which the condition began.
///
/// A condition on metrics (means over `patience` steps) must hold for `patience` steps before it is an alarm. A routing
/// target is dead if no slot chose it for ten times as many steps. The state consists of plain numbers.
public struct HealthMonitor: Sendable, Codable, Equatable {
  /// A condition that has held for too long.
  public struct Alarm: Sendable, Codable, Equatable {
    /// `entropy_collapse`, `entropy_explosion`, `gradient_explosion`, `clipping`, `length_drift`, `mini_moes_dead`,
    /// `experts_dead`, `micro_agents_unused`, `mini_moe_overload`, `reward_fall`, `held_out_fall`,
    /// `completions_at_limit`, `nothing_to_learn`, `other_losses`.
    public let name: String
    /// The step at which the condition began.
    public let step: Int
    /// One line: the metric, its bound and the remedy.
    public let message: String
  }

  /// The alarms whose conditions hold now, by name.
  public private(set) var active: [String: Alarm] = [:]
  public let patience: Int
  /// For each watched metric, the mean over the first steps (`startSteps`) and the moving mean.
  private var starts: [String: Start] = [:]
  private var means: [String: Double] = [:]
  /// The step at which each current condition began.
  private var since: [String: Int] = [:]
  /// The held-out measure of the first evaluation.
  private var heldOutStart: Double?
  /// Number of evaluations in a row below the first; nil means 0.
  private var heldOutFalls: Int?
  /// The last step at which each routing target was chosen, by alarm name.
  private var lastTaken: [String: [Int]] = [:]

  private struct Start: Sendable, Codable, Equatable {
    var sum = 0.0
    var count = 0
  }

  /// - Parameter patience: steps; at least 1.
  public init(patience: Int) {
    precondition(patience > 0, "patience \(patience) must be at least 1")
    self.patience = patience
  }

  /// Whether this can be the state after `step` steps; a state from a file may be invalid.
  func isPossible(at step: Int) -> Bool {
    let steps = Array(since.values) + lastTaken.values.flatMap { $0 } + active.values.map(\.step)
    return patience > 0 && steps.allSatisfy { (0...max(step, 0) + 1).contains($0) }
  }

  /// Adds the metrics of a step; returns the new alarms.
  public mutating func observe(step: Int, _ metrics: [String: Double], _ loads: RoutingSnapshot? = nil) -> [Alarm] {
    for name in Self.watched {
      if let value = metrics[name], value.isFinite { watch(name, value) }
    }
    var found: [Alarm] = []
    for condition in conditions(metrics) {
      found += judge(condition.name, step, condition.holds, patience: patience, condition.message)
    }
    // Conditions of learning must be seen early, before the weights are lost.
    for condition in conditionsOfLearning() {
      found += judge(condition.name, step, condition.holds, patience: max(1, patience / 2), condition.message)
    }
    if let policy = metrics["grad_norm/policy"], let other = metrics["grad_norm/other"], policy > 0 {
      found += judge(
        "other_losses", step, other > policy, patience: 1,
        "the gradient of entropy, balance, diffusion and KL has norm \(FigureText.fixed(other, 3)), that of the policy "
          + "loss \(FigureText.fixed(policy, 3)): they move the weights more than the rewards do; lower rl.entropy_coef, "
          + "rl.aux_loss_coef and rl.diffusion_loss_coef")
    }
    if let loads { found += judgeLoads(step, loads) }
    return found
  }

  /// Adds the held-out measure after `step` steps, of `count` prompts; returns the new alarms.
  public mutating func observe(step: Int, heldOut value: Double, named name: String, count: Int) -> [Alarm] {
    guard value.isFinite else { return [] }
    guard let start = heldOutStart else {
      heldOutStart = value
      return []
    }
    heldOutFalls = value < start - Self.margin(start, count: count) ? (heldOutFalls ?? 0) + 1 : 0
    // A greedy measure can fall for a while, although the sampled completions become better.
    let isRising = (means["reward"] ?? 0) > (self.start("reward") ?? .infinity)
    return judge(
      "held_out_fall", step, (heldOutFalls ?? 0) >= (isRising ? 2 : 1), patience: 1,
      "\(name) fell from \(FigureText.fixed(start, 3)) at the start to \(FigureText.fixed(value, 3)): the run unlearns; "
        + "lower rl.learning_rate, raise rl.batch_size, or set rl.target_kl and rl.guard")
  }

  /// The fall of a mean of `count` values that is not chance: two standard errors of the difference of two shares, or,
  /// for a measure that is not a share, a fifth.
  private static func margin(_ start: Double, count: Int) -> Double {
    guard (0...1).contains(start) else { return abs(start) / 5 }
    return 2 * (2 * max(start * (1 - start), 0.02) / Double(max(1, count))).squareRoot()
  }

  private static let watched = [
    "entropy", "grad_norm", "completions/mean_length", "clip_ratio/low", "clip_ratio/high", "reward",
    "completions/clipped_ratio", "frac_reward_zero_std",
  ]

  private mutating func watch(_ name: String, _ value: Double) {
    let start = starts[name] ?? Start()
    if start.count < startSteps(name) { starts[name] = Start(sum: start.sum + value, count: start.count + 1) }
    let old = means[name] ?? value
    means[name] = old + (value - old) * 2 / Double(patience + 1)
  }

  /// Number of first steps whose mean is the start of a metric: `patience`, but fewer for the reward, which a run that
  /// unlearns loses within a few steps.
  private func startSteps(_ name: String) -> Int { name == "reward" ? min(3, patience) : patience }

  /// The mean over the first steps; nil before that.
  private func start(_ name: String) -> Double? {
    guard let start = starts[name], start.count == startSteps(name) else { return nil }
    return start.sum / Double(start.count)
  }

  private func conditions(_ metrics: [String: Double]) -> [(name: String, holds: Bool, message: String)] {
    var result: [(String, Bool, String)] = []
    if let start = start("entropy"), let now = means["entropy"] {
      let figures = "entropy \(FigureText.fixed(now, 3)) nats, \(FigureText.fixed(start, 3)) at the start"
      result.append(
        (
          "entropy_collapse", now < 0.05 * start,
          "\(figures): the policy hardly explores; raise rl.entropy_coef or set rl.entropy_target"
        ))
      result.append(
        (
          "entropy_explosion", now > 2 * start && now > start + 0.5,
          "\(figures): the policy becomes random; lower rl.learning_rate or rl.entropy_coef"
        ))
    }
    if let now = metrics["grad_norm"], let mean = means["grad_norm"], let start = start("grad_norm") {
      result.append(
        (
          "gradient_explosion", mean > 10 * start || !now.isFinite,
          "gradient norm \(FigureText.fixed(mean, 2)), \(FigureText.fixed(start, 2)) at the start; lower rl.learning_rate"
        ))
    }
    let clipped = (means["clip_ratio/low"] ?? 0) + (means["clip_ratio/high"] ?? 0)
    result.append(
      (
        "clipping", clipped > 0.2,
        "\(FigureText.fixed(100 * clipped, 0)) % of the ratios are clipped; publish the old policy more often or lower rl.learning_rate"
      ))
    if let start = start("completions/mean_length"), let now = means["completions/mean_length"] {
      result.append(
        (
          "length_drift", now > 1.5 * start || now < 0.5 * start,
          "mean completion length \(FigureText.fixed(now, 1)) tokens, \(FigureText.fixed(start, 1)) at the start; check in samples.jsonl what the reward favors"
        ))
    }
    return result
  }

  /// Conditions under which a run unlearns or learns nothing.
  private func conditionsOfLearning() -> [(name: String, holds: Bool, message: String)] {
    var result: [(String, Bool, String)] = []
    if let start = start("reward"), let now = means["reward"] {
      let figures = "mean reward \(FigureText.fixed(now, 3)), \(FigureText.fixed(start, 3)) at the start"
      result.append(
        (
          "reward_fall", now < start - max(0.25 * abs(start), 0.02),
          "\(figures): the run unlearns; lower rl.learning_rate, raise rl.batch_size, or set rl.target_kl and rl.guard"
        ))
      let uniform = means["frac_reward_zero_std"] ?? 0
      result.append(
        (
          "nothing_to_learn", uniform > 0.9 && now < start + max(0.1 * abs(start), 0.02),
          "\(FigureText.fixed(100 * uniform, 0)) % of the groups have equal rewards, and \(figures): there is little to "
            + "learn from; use easier or harder prompts, a reward with degrees, or more rl.num_trajectories"
        ))
    }
    if let start = start("completions/clipped_ratio"), let now = means["completions/clipped_ratio"] {
      result.append(
        (
          "completions_at_limit", now > 0.5 && now > start + 0.25,
          "\(FigureText.fixed(100 * now, 0)) % of the completions reach rl.max_trajectory_len, "
            + "\(FigureText.fixed(100 * start, 0)) % at the start: the policy forgets to end; lower rl.learning_rate, or "
            + "raise rl.max_trajectory_len if the task needs it"
        ))
    }
    return result
  }

  private mutating func judge(_ name: String, _ step: Int, _ holds: Bool, patience: Int, _ message: String) -> [Alarm] {
    guard holds else {
      since[name] = nil
      active[name] = nil
      return []
    }
    let began = since[name] ?? step
    since[name] = began
    guard active[name] == nil, step - began + 1 >= patience else { return [] }
    let alarm = Alarm(name: name, step: began, message: message)
    active[name] = alarm
    return [alarm]
  }

  private mutating func judgeLoads(_ step: Int, _ loads: RoutingSnapshot) -> [Alarm] {
    let total = loads.miniMoEs.reduce([Int](repeating: 0, count: loads.miniMoEs.first?.count ?? 0)) {
      zip($0, $1).map(+)
    }
    var found = judgeDead("mini_moes_dead", "mini-MoEs", step, total)
    found += judgeDead("experts_dead", "experts", step, loads.experts.flatMap { $0 })
    found += judgeDead("micro_agents_unused", "micro agents", step, loads.microAgents.flatMap { $0 })
    // A mini-MoE is overloaded if nearly every slot of its layer chose it although there are others.
    let shares = loads.miniMoEs.enumerated().compactMap { layer, row -> (layer: Int, share: Double)? in
      let sum = row.reduce(0, +)
      guard sum > 0, row.count > 2 else { return nil }
      return (layer, Double(row.max() ?? 0) / Double(sum))
    }
    let worst = shares.max { $0.share < $1.share }
    let limit = max(0.5, 2.5 / Double(loads.miniMoEs.first?.count ?? 1))
    found += judge(
      "mini_moe_overload", step, (worst?.share ?? 0) > limit - 0.01, patience: patience,
      "one mini-MoE of layer \(worst?.layer ?? 0) receives \(FigureText.fixed(100 * (worst?.share ?? 0), 0)) % of the slots; "
        + "raise rl.aux_loss_coef or rl.balance_rate")
    return found
  }

  private mutating func judgeDead(_ name: String, _ what: String, _ step: Int, _ counts: [Int]) -> [Alarm] {
    // The window of a new target begins now.
    var last = lastTaken[name] ?? []
    if last.count != counts.count { last = [Int](repeating: step - 1, count: counts.count) }
    for (index, count) in counts.enumerated() where count > 0 { last[index] = step }
    lastTaken[name] = last
    let window = 10 * patience
    let dead = last.indices.filter { step - last[$0] >= window }
    guard let oldest = dead.map({ last[$0] }).min() else {
      active[name] = nil
      return []
    }
    guard active[name] == nil else { return [] }
    let names = dead.prefix(5).map(String.init).joined(separator: ", ") + (dead.count > 5 ? ", …" : "")
    let alarm = Alarm(
      name: name, step: oldest + 1,
      message: "\(dead.count) of \(counts.count) \(what) (\(names)) were not chosen for \(window) steps; raise "
        + "rl.aux_loss_coef or rl.balance_rate, or use fewer")
    active[name] = alarm
    return [alarm]
  }
}
