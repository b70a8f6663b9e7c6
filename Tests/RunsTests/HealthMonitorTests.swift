import Foundation
import TestSupport
import Testing
import Training

@Suite struct HealthMonitorTests {
  private func run(
    _ steps: Int, patience: Int = 5, _ figures: (Int) -> [String: Double],
    loads: (Int) -> RoutingSnapshot? = { _ in nil }
  ) -> (HealthMonitor, [HealthMonitor.Alarm]) {
    var monitor = HealthMonitor(patience: patience)
    var alarms: [HealthMonitor.Alarm] = []
    for step in 1...steps { alarms += monitor.observe(step: step, figures(step), loads(step)) }
    return (monitor, alarms)
  }

  private static func healthy(_ step: Int) -> [String: Double] {
    [
      "entropy": 1.2 - 0.001 * Double(step % 7), "grad_norm": 0.5 + 0.1 * Double(step % 3),
      "completions/mean_length": 10 + Double(step % 2), "clip_ratio/low": 0.01, "clip_ratio/high": 0.02,
    ]
  }

  @Test("A steady run and fewer steps than the patience give no alarm")
  func healthy() {
    #expect(run(200, Self.healthy).1.isEmpty)
    #expect(run(4) { _ in ["clip_ratio/low": 1] }.1.isEmpty)
  }

  @Test(
    "Each metric that leaves its bounds gives one alarm with the step at which the condition began",
    arguments: [
      ("entropy_collapse", "entropy", 0.001), ("entropy_explosion", "entropy", 4.0),
      ("gradient_explosion", "grad_norm", 100.0), ("clipping", "clip_ratio/high", 0.6),
      ("length_drift", "completions/mean_length", 40.0), ("length_drift", "completions/mean_length", 1.0),
    ])
  func figures(name: String, metric: String, value: Double) throws {
    let (monitor, alarms) = run(60) { step in
      var figures = Self.healthy(step)
      if step > 30 { figures[metric] = value }
      return figures
    }
    let alarm = try #require(alarms.first)
    #expect(alarms.count == 1)
    #expect(alarm.name == name)
    #expect((31...45).contains(alarm.step))
    #expect(monitor.active[name] == alarm)
    #expect(!alarm.message.isEmpty)
  }

  @Test("An alarm ends with its condition and can be raised again")
  func ends() {
    let (monitor, alarms) = run(120) { step in
      var figures = Self.healthy(step)
      if (20..<40).contains(step) || (70..<90).contains(step) { figures["clip_ratio/low"] = 0.9 }
      return figures
    }
    #expect(alarms.map(\.name) == ["clipping", "clipping"])
    #expect(monitor.active.isEmpty)
  }

  @Test("Unused routing targets are dead after ten times the patience, and the alarm has the first step")
  func dead() throws {
    let (monitor, alarms) = run(
      80, Self.healthy,
      loads: { step in
        RoutingSnapshot(
          miniMoEs: [[4, 4, 4, 4]], experts: [[5, step < 20 ? 5 : 0], [5, 5]],
          microAgents: [[1, 2, 0], [step.isMultiple(of: 40) ? 1 : 0, 2, 2]])
      })
    let experts = try #require(alarms.first { $0.name == "experts_dead" })
    #expect(experts.step == 20 && experts.message.hasPrefix("1 of 4 experts (1) "))
    let agents = try #require(alarms.first { $0.name == "micro_agents_unused" })
    #expect(agents.step == 1 && agents.message.contains("1 of 6 micro agents (2)"))
    #expect(alarms.count == 2 && monitor.active.count == 2)
  }

  @Test("A mini-MoE with nearly all slots is overloaded")
  func overload() {
    let even = run(
      40, Self.healthy,
      loads: { _ in RoutingSnapshot(miniMoEs: [[9, 8, 7, 8], [8, 8, 8, 8]], experts: [[1]], microAgents: [[1]]) })
    #expect(even.1.isEmpty)
    let loaded = run(
      40, Self.healthy,
      loads: { step in
        RoutingSnapshot(
          miniMoEs: [[8, 8, 8, 8], [step > 10 ? 90 : 8, 4, 3, 3]], experts: [[1]], microAgents: [[1]])
      })
    #expect(loaded.1.map(\.name) == ["mini_moe_overload"])
    #expect(loaded.1.first?.step == 11)
    #expect(loaded.1.first?.message.contains("layer 1") == true)
  }

  // MARK: Recorded runs

  /// The alarms of a recorded run (Tests/Fixtures/health), as the recorder of a run raises them.
  private func alarms(of recording: String, patience: Int = 10) throws -> [(step: Int, alarm: HealthMonitor.Alarm)] {
    var monitor = HealthMonitor(patience: patience)
    var found: [(Int, HealthMonitor.Alarm)] = []
    for line in try Fixtures.text("health/\(recording).jsonl").split(separator: "\n").dropFirst() {
      let numbers = try JSONDecoder().decode([String: Double].self, from: Data(line.utf8))
      let step = Int(try #require(numbers["step"]))
      if let measure = numbers.first(where: { $0.key.hasPrefix("eval/") }) {
        found += monitor.observe(step: step, heldOut: measure.value, named: measure.key, count: 100).map { (step, $0) }
      } else {
        found += monitor.observe(step: step, numbers).map { (step, $0) }
      }
    }
    return found
  }

  @Test(
    "A run that unlearns raises an alarm within 20 steps",
    arguments: ["unlearns-5e-4", "unlearns-1e-3", "unlearns-brackets"])
  func unlearning(recording: String) throws {
    let first = try #require(try alarms(of: recording).first)
    #expect(first.step <= 20)
    #expect(["held_out_fall", "reward_fall"].contains(first.alarm.name))
    #expect(first.alarm.message.contains("rl.learning_rate"))
  }

  @Test(
    "Too large an entropy bonus and equal rewards raise their own alarm within 20 steps",
    arguments: [
      ("entropy-explodes", "other_losses", "rl.entropy_coef"), ("nothing-to-learn", "nothing_to_learn", "prompts"),
    ])
  func otherCauses(recording: String, name: String, remedy: String) throws {
    let first = try #require(try alarms(of: recording).first)
    #expect(first.step <= 20 && first.alarm.name == name)
    #expect(first.alarm.message.contains(remedy))
  }

  @Test("A run whose entropy explodes also raises the alarms of its consequences")
  func consequences() throws {
    let names = Set(try alarms(of: "entropy-explodes").map(\.alarm.name))
    #expect(names.isSuperset(of: ["entropy_explosion", "completions_at_limit", "reward_fall", "held_out_fall"]))
  }

  @Test(
    "A run that learns raises no alarm",
    arguments: ["healthy-3e-5", "healthy-word-problems", "healthy-brackets", "healthy-quickstart"])
  func learning(recording: String) throws {
    let found = try alarms(of: recording)
    #expect(found.isEmpty, "\(found)")
  }

  @Test("Equal rewards in nearly all groups are an alarm, unless the rewards have risen")
  func nothingToLearn() throws {
    func names(reward: (Int) -> Double) -> [String] {
      run(40, patience: 10) { step in
        ["reward": reward(step), "frac_reward_zero_std": step < 20 && reward(1) < 1 ? 0.3 : 1]
      }.1.map(\.name)
    }
    #expect(names { _ in 1 } == ["nothing_to_learn"])
    #expect(names { min(1, 0.4 + 0.03 * Double($0)) } == [])
  }

  @Test("Completions that reach the length limit are an alarm, unless they did from the start")
  func atLimit() {
    func names(from first: Double, to last: Double) -> [String] {
      run(40, patience: 10) { ["completions/clipped_ratio": $0 <= 10 ? first : last] }.1.map(\.name)
    }
    #expect(names(from: 0.05, to: 1) == ["completions_at_limit"])
    #expect(names(from: 0.9, to: 1) == [])
  }

  @Test("Other losses with a larger gradient than the policy loss are an alarm at the first measurement")
  func otherLosses() throws {
    let found = run(3) { _ in ["grad_norm/policy": 0.1, "grad_norm/other": 0.3] }.1
    #expect(found.map(\.name) == ["other_losses"] && found[0].step == 1)
    #expect(run(3) { _ in ["grad_norm/policy": 0.3, "grad_norm/other": 0.1] }.1.isEmpty)
  }

  @Test("A held-out measure below its start is an alarm; while the reward rises, only if it stays there")
  func heldOut() {
    func names(rewards: Double, _ measures: [Double]) -> [String] {
      var monitor = HealthMonitor(patience: 10)
      var found: [HealthMonitor.Alarm] = []
      for (index, measure) in measures.enumerated() {
        for step in 1...5 {
          found += monitor.observe(step: 5 * index + step, ["reward": 0.5 + rewards * Double(index)])
        }
        found += monitor.observe(step: 5 * index + 5, heldOut: measure, named: "eval/reward", count: 100)
      }
      return found.map(\.name)
    }
    #expect(names(rewards: 0, [0.5, 0.45, 0.3]) == ["held_out_fall"])
    #expect(names(rewards: 0.1, [0.5, 0.3, 0.6]) == [])
    #expect(names(rewards: 0.1, [0.5, 0.3, 0.3]) == ["held_out_fall"])
    // A measure that is not a share.
    #expect(names(rewards: 0, [12, 10]) == [])
    #expect(names(rewards: 0, [12, 9]) == ["held_out_fall"])
  }
}
