import Configuration
import Testing

@Suite struct KeySuggestionTests {
  private func message(_ yaml: String, set override: String? = nil) -> String {
    do {
      _ = try RunConfiguration.parse(yaml: yaml, file: "x.yaml", overrides: override.map { [$0] } ?? [])
      return "accepted"
    } catch { return "\(error)" }
  }

  @Test(
    "A key without a section gives a suggestion for every section that has the key",
    arguments: [
      ("learning_rate=1e-4", "did you mean 'rl.learning_rate' or 'pretrain.learning_rate'?"),
      ("learing_rate=1e-4", "did you mean 'rl.learning_rate' or 'pretrain.learning_rate'?"),
      ("dim=4", "did you mean 'model.dim'?"), ("optimizer.learning_rate=1e-4", "did you mean 'rl.learning_rate' or"),
      ("model.batch_size=4", "did you mean 'rl.batch_size' or 'pretrain.batch_size'?"),
      ("rl.sequence_lenght=4", "did you mean 'pretrain.sequence_length'?"),
      ("rl.batch_sice=4", "did you mean 'rl.batch_size'?"), ("xyzzy=1", "for example rl.batch_size=8"),
      ("rl=4", "for example rl.batch_size=8"),
    ])
  func overrides(override: String, part: String) {
    let text = message("model: {}\n", set: override)
    #expect(text.contains(part) && text.hasPrefix("--set \(override)"), "\(text)")
  }

  @Test(
    "A key without a section in a file gives the same suggestions",
    arguments: [
      ("batch_size: 4\n", "did you mean 'rl.batch_size' or 'pretrain.batch_size'?"),
      ("learning_rte: 4\n", "did you mean 'rl.learning_rate' or 'pretrain.learning_rate'?"),
      ("pretrian:\n  steps: 4\n", "did you mean 'pretrain'?"),
    ])
  func files(yaml: String, part: String) {
    let text = message(yaml)
    #expect(text.contains(part) && text.hasPrefix("x.yaml:1: "), "\(text)")
  }
}
