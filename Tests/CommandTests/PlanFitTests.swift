import Foundation
import TestSupport
import Testing

@Suite("Plans that do not fit") struct PlanFitTests {
  @Test("A plan in which no layout fits prints the reason for each layout and fails", arguments: [[], ["--json"]])
  func nothing(options: [String]) throws {
    let recipe = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("configs/quillan-511m.yaml").path
    let command = [try Program.path, "plan", "--config", recipe, "--hosts", "1", "--cores", "1", "--memory"]
    let outcome = try Program.execute(command + ["1GiB"] + options)
    #expect(outcome.status == 1 && outcome.messages.count == 1, "\(outcome.errors)")
    #expect(outcome.errors.contains("no layout of 1 host can run this"))
    #expect(outcome.output.contains("1 rank per host, P 1"))
    #expect(try Program.execute(command + ["64GiB"] + options).status == 0)
  }
}
