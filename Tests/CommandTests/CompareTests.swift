import Foundation
import TestSupport
import Testing

@Suite("Compare", .serialized)
struct CompareTests {
  @Test("The golden cases pass, and print a table and a closing line", arguments: ["fp32", "quantised"])
  func golden(name: String) throws {
    let outcome = try Program.run("debug", "compare", "--case", Fixtures.url("golden/\(name).json").path)
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
    #expect(outcome.errors.isEmpty, "\(outcome.errors)")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.first?.hasPrefix("tensor ") == true)
    #expect(lines.last?.hasPrefix("all ") == true)
    #expect(lines.contains { $0.hasPrefix("loss.total ") })
    #expect(lines.contains { $0.hasPrefix("grad.embedding.weight ") })
  }

  @Test("The output holds every expected tensor and the losses, with the same bytes on 1 and 2 ranks")
  func output() throws {
    let folder = try TemporaryFolder()
    let path = Fixtures.url("golden/quantised.json").path
    let one = try Program.run("debug", "compare", "--case", path, "--output", folder.path("one"))
    let two = try Program.run(
      ranks: 2, "debug", "compare", "--case", path, "--output", folder.path("two"), "--set", "parallel.expert=1",
      "--threads", "2")
    #expect(one.status == 0)
    #expect(two.status == 0, "\(two.errors)")
    #expect(one.output == two.output)
    #expect(try folder.names == ["one", "two"])
    let url = folder.url.appendingPathComponent("one")
    #expect(try Data(contentsOf: url) == Data(contentsOf: folder.url.appendingPathComponent("two")))
    let results = try SafetensorsContent(url).tensors
    let expected = try SafetensorsContent(Fixtures.url("golden/quantised.expected.safetensors")).tensors
    for (name, tensor) in expected {
      #expect(results[name]?.type == tensor.type, "\(name)")
      #expect(results[name]?.shape == tensor.shape, "\(name)")
      if tensor.type != "F32" { #expect(results[name]?.bytes == tensor.bytes, "\(name)") }
    }
    for name in ["total", "policy", "entropy", "aux", "diffusion", "value"] {
      #expect(results["loss.\(name)"]?.type == "F32")
      #expect(results["loss.\(name)"]?.shape == [])
    }
  }

  @Test("Results written as the expectation of a case match when recomputed")
  func reread() throws {
    let copy = try GoldenCopy("fp32")
    let first = try Program.run(
      "debug", "compare", "--case", copy.path, "--force", "--output", copy.url("expected.safetensors").path)
    #expect(first.status == 0)
    let second = try copy.run()
    #expect(second.status == 0, "\(second.errors)")
    let tensors = second.output.split(separator: "\n").filter { $0.contains("grad.") || $0.contains("trajectory.") }
    #expect(tensors.count > 100)
    for line in tensors { #expect(line.split(separator: " ").dropFirst(2).first == "0", "\(line)") }
  }

  @Test("A changed expectation is listed first, with exit code 1")
  func changed() throws {
    let copy = try GoldenCopy("fp32")
    try copy.change("expected.safetensors", tensor: "trajectory.1.value", to: 1000)
    let outcome = try copy.run()
    #expect(outcome.status == 1)
    #expect(outcome.errors.isEmpty)
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.count > 2 && lines[2].hasPrefix("trajectory.1.value") && lines[2].hasSuffix("NO"))
    #expect(lines.last == "1 of \(lines.count - 3) outside tolerance, worst: trajectory.1.value")
  }

  @Test("Missing files give one line and exit code 1, also on 2 ranks")
  func missing() throws {
    let copy = try GoldenCopy("fp32")
    try FileManager.default.removeItem(at: copy.url("weights.safetensors"))
    for outcome in [
      try copy.run(), try Program.run("debug", "compare", "--case", "/nonexistent/case.json"),
      try Program.run(ranks: 2, "debug", "compare", "--case", "/nonexistent/case.json"),
    ] {
      #expect(outcome.status == 1)
      #expect(outcome.output.isEmpty)
      #expect(outcome.messages.count == 1, "\(outcome.errors)")
    }
  }

  @Test(
    "Invalid overrides give one line and exit code 2",
    arguments: [
      ("parallel.expert=2", "set it to 1"), ("parallel.expert=3", "num_mini_moes"),
      ("parallel.exprt=2", "parallel.expert"), ("parallel.threads=many", "parallel.threads"),
      ("model.dim=8", "parallel"), ("parallel", "parallel"),
    ])
  func overrides(override: String, part: String) throws {
    let path = Fixtures.url("golden/fp32.json").path
    let outcome = try Program.run("debug", "compare", "--case", path, "--set", override)
    #expect(outcome.status == 2)
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    #expect(outcome.errors.hasPrefix("quillan: --set \(override): "), "\(outcome.errors)")
    #expect(outcome.errors.contains(part), "\(outcome.errors)")
  }

  @Test("An output that cannot be written gives one line and exit code 1")
  func unwritable() throws {
    let output = "/nonexistent/folder/results"
    let path = Fixtures.url("golden/fp32.json").path
    let outcome = try Program.run("debug", "compare", "--case", path, "--output", output)
    #expect(outcome.status == 1)
    #expect(outcome.output.isEmpty)
    #expect(outcome.messages.count == 1)
    #expect(outcome.errors.contains(output), "\(outcome.errors)")
  }
}
