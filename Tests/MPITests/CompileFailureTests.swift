import Foundation
import Testing

extension MPITests {
  /// The compiler rejects programs that touch memory in flight.
  @Suite(.serialized) struct CompileFailureTests {
    /// The compiler's errors about a function body that has a `communicator` and a `buffer`.
    func errors(in body: String) throws -> [String] {
      let source = FileManager.default.temporaryDirectory.appendingPathComponent("snippet-\(UUID().uuidString).swift")
      try """
      import MPI
      func program(_ communicator: Communicator, _ buffer: consuming TransferBuffer<Float>) throws {
        \(body)
      }
      """.write(to: source, atomically: true, encoding: .utf8)
      defer { try? FileManager.default.removeItem(at: source) }
      let repository = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      let products = URL(fileURLWithPath: executable).deletingLastPathComponent()
      let moduleMap = repository.appendingPathComponent("Sources/CMPI/module.modulemap").path
      let includes = try run("pkg-config", ["--cflags-only-I", "ompi-c"]).output.split(whereSeparator: \.isWhitespace)
      // The compiler finds a second consumption only after type checking, so let it emit code, to nowhere.
      let result = try run(
        "swiftc",
        [
          "-swift-version", "6", "-parse-as-library", "-emit-sil", "-o", "/dev/null", source.path,
          "-I", products.appendingPathComponent("Modules").path, "-Xcc", "-fmodule-map-file=\(moduleMap)",
        ] + includes.flatMap { ["-Xcc", String($0)] })
      let errors = result.output.split(separator: "\n").filter { $0.contains(": error:") }.map(String.init)
      #expect((result.status == 0) == errors.isEmpty, "\(result.output)")
      return errors
    }

    func run(_ command: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [command] + arguments
      let pipe = Pipe()
      process.standardOutput = pipe
      process.standardError = pipe
      process.standardInput = FileHandle.nullDevice
      try process.run()
      let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
      process.waitUntilExit()
      return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    @Test("A program that waits for a request and uses its buffer again compiles")
    func acceptsWaiting() throws {
      let found = try errors(
        in: """
          let request = try communicator.iAllReduce(buffer, .sum)
            print(try request.wait().count)
          """)
      #expect(found.isEmpty)
    }

    @Test(
      "A program that uses a buffer in flight does not compile",
      arguments: [
        "try communicator.iAllReduce(buffer, .sum)", "try communicator.iBroadcast(buffer, from: 0)",
        "try communicator.iAllGather(buffer)", "try communicator.iSend(buffer, to: 0, tag: 0)",
        "try communicator.iReceive(buffer, from: 0, tag: 0)",
      ])
    func rejectsUseAfterStart(start: String) throws {
      let found = try errors(
        in: """
          let request = \(start)
            print(buffer.count)
            _ = try request.wait()
          """)
      #expect(found.count == 1 && found[0].contains("'buffer' used after consume"), "\(found)")
    }

    @Test("A program that gives a buffer to two transfers does not compile")
    func rejectsTwoTransfers() throws {
      let found = try errors(
        in: """
          let first = try communicator.iAllReduce(buffer, .sum)
            let second = try communicator.iAllReduce(buffer, .sum)
            _ = try first.wait()
            _ = try second.wait()
          """)
      #expect(found.count == 1 && found[0].contains("'buffer' consumed more than once"), "\(found)")
    }

    @Test("A program that waits for a request twice does not compile")
    func rejectsTwoWaits() throws {
      let found = try errors(
        in: """
          let request = try communicator.iAllReduce(buffer, .sum)
            _ = try request.wait()
            _ = try request.wait()
          """)
      #expect(found.count == 1 && found[0].contains("'request' consumed more than once"), "\(found)")
    }

    @Test("A bitwise operation on floating-point numbers does not compile")
    func rejectsSenselessOperations() throws {
      let found = try errors(in: "_ = try communicator.allReduce([Float(1)], .bitwiseOr)")
      #expect(!found.isEmpty)
    }
  }
}
