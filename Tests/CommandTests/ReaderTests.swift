import Foundation
import TestSupport
import Testing

/// Runs the Python code of the documentation on files that the program wrote.
@Suite("Readers in the documentation", .serialized)
struct ReaderTests {
  /// A Python with numpy: the first on the path, otherwise the system's (python3-numpy); nil if there is none.
  static let python: [String]? = [["/usr/bin/env", "python3"], ["/usr/bin/python3"]].first {
    (try? Program.execute($0 + ["-c", "import numpy"]))?.status == 0
  }

  private var program: String {
    get throws {
      let article = Fixtures.directory.deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources/Training/Training.docc/Deployment.md")
      let parts = try String(contentsOf: article, encoding: .utf8).components(separatedBy: "```python\n").dropFirst()
      return parts.map { $0.components(separatedBy: "```")[0] }.joined(separator: "\n")
    }
  }

  @Test("The documented readers give the same numbers as the program")
  func read() throws {
    let python = try #require(Self.python, "python3 with numpy is needed, as launch/test installs it: python3-numpy")
    let folder = try TemporaryFolder()
    let source = [
      Fixtures.url("golden/quantised.weights.safetensors").path, "--config", Fixtures.url("golden/quantised.json").path,
    ]
    let calls = [
      ["quantize"] + source + ["-o", folder.path("model.qpk")],
      ["export", "safetensors"] + source + ["--type", "packed", "-o", folder.path("packed")],
      ["export", "safetensors", folder.path("model.qpk"), "--type", "fp32", "-o", folder.path("values")],
    ]
    for call in calls {
      let outcome = try Program.execute([Program.path] + call)
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
    let check = """
      import os, subprocess, sys
      folder, quillan = sys.argv[1:]
      values = read_safetensors(folder + "/values/model.safetensors")[0]
      config = json.load(open(folder + "/packed/config.json"))
      for tensors in read_packed(folder + "/model.qpk"), read_packed_safetensors(folder + "/packed/model.safetensors", config["precision"]):
          assert tensors.keys() == values.keys()
          for name in values:
              assert tensors[name].shape == values[name].shape and np.array_equal(tensors[name], values[name]), name
      x = np.random.default_rng(0).standard_normal((5, 3, 13)).astype(np.float32)
      np.save(folder + "/x.npy", x)
      for bits in 1, 2, 4, 8:
          for scaling in [], ["--per-tensor"]:
              subprocess.run([quillan, "bits", "encode", folder + "/x.npy", "-o", folder + "/x.bits", "--force", "--bits", str(bits)] + scaling, check=True)
              subprocess.run([quillan, "bits", "decode", folder + "/x.bits", "-o", folder + "/y.npy", "--force"], check=True)
              assert np.array_equal(read_bits(folder + "/x.bits"), np.load(folder + "/y.npy")), (bits, scaling)
              if bits == 8: assert np.abs(np.load(folder + "/y.npy") - x).max() < 0.02
      print("read")
      """
    let script = try folder.write("read.py", Data((try program + "\n" + check).utf8))
    let outcome = try Program.execute(python + [script, folder.url.path, Program.path])
    #expect(outcome.status == 0 && outcome.output == "read\n", "\(outcome.errors)")
  }
}
