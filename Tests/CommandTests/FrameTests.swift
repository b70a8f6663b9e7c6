import Foundation
import Testing

@Suite("Frame", .serialized)
struct FrameTests {
  @Test("Every command has an abstract, every option has help, and --help exits with 0")
  func help() throws {
    let dump = try Program.run("--experimental-dump-help")
    #expect(dump.status == 0)
    let root = try JSONDecoder().decode(CommandDescription.Dump.self, from: Data(dump.output.utf8)).command
    let commands = root.all()
    #expect(commands.count >= 7)
    for (words, command) in commands {
      #expect(command.abstract?.hasSuffix(".") == true, "\(words)")
      for argument in command.arguments ?? [] where argument.shouldDisplay {
        #expect(argument.abstract?.isEmpty == false, "\(words): \(argument.names?.map(\.name) ?? [])")
      }
      let outcome = try Program.execute([Program.path] + words + ["--help"])
      #expect(outcome.status == 0, "\(words)")
      #expect(outcome.errors.isEmpty, "\(words)")
      #expect(outcome.output.hasPrefix("OVERVIEW: \(command.abstract?.prefix(20) ?? "?")"), "\(words)")
      #expect(outcome.output.contains("USAGE: \((["quillan"] + words).joined(separator: " "))"), "\(words)")
    }
  }

  @Test("--version prints a version number")
  func version() throws {
    let outcome = try Program.run("--version")
    #expect(outcome.status == 0)
    #expect(outcome.output.split(separator: ".").count == 3)
    #expect(outcome.errors.isEmpty)
  }

  @Test(
    "A wrong command line gives one line that names the help, and exit code 2",
    arguments: [
      (["paln"], "'paln'", "'quillan --help'"),
      (["debug", "compere"], "'compere'", "'quillan debug --help'"),
      (["plan"], "--config", "'quillan plan --help'"),
      (["plan", "--config"], "--config", "'quillan plan --help'"),
      (["plan", "--config", "x.yaml", "--ranks", "two"], "two", "'quillan plan --help'"),
      (["plan", "--config", "x.yaml", "--ranks", "0"], "--ranks", "'quillan plan --help'"),
      (["debug", "compare", "--case", "x.json", "--threads", "0"], "--threads", "'quillan debug compare --help'"),
      (["debug", "configuration"], "--reference", "'quillan debug configuration --help'"),
      (["--verbose"], "--verbose", "'quillan --help'"),
    ])
  func usage(arguments: [String], part: String, help: String) throws {
    let outcome = try Program.execute([Program.path] + arguments)
    #expect(outcome.status == 2)
    #expect(outcome.output.isEmpty)
    #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
    #expect(outcome.messages.count == 1)
    #expect(outcome.errors.contains(part), "\(outcome.errors)")
    #expect(outcome.errors.hasSuffix("see \(help)\n"), "\(outcome.errors)")
  }

  @Test("Under mpirun a wrong command line gives one line, from rank 0, and exit code 2")
  func usageOnRanks() throws {
    let outcome = try Program.run(ranks: 2, "plan", "--confg", "x.yaml")
    #expect(outcome.status == 2)
    #expect(outcome.messages.count == 1, "\(outcome.errors)")
    #expect(outcome.messages.first?.hasPrefix("quillan: rank 0: ") == true, "\(outcome.errors)")
  }

  @Test("Results that cannot be written give exit code 1")
  func fullDisk() throws {
    let command = "'\(try Program.path)' debug configuration --reference > /dev/full"
    let outcome = try Program.execute(["/bin/sh", "-c", command])
    #expect(outcome.status == 1)
    #expect(outcome.messages.count == 1)
    #expect(
      outcome.messages == [
        "quillan: stdout: cannot write the results (No space left on device); check where stdout goes"
      ])
  }

  @Test("debug environment lists the facts that a bug report needs")
  func environment() throws {
    let outcome = try Program.run("debug", "environment")
    #expect(outcome.status == 0)
    let lines = outcome.output.split(separator: "\n")
    for name in [
      "processor", "cores", "memory", "instruction set in use", "swift", "MPI", "OpenBLAS", "oneDNN", "zstd",
    ] {
      #expect(lines.contains { $0.hasPrefix(name + " ") }, "\(name)")
    }
  }
}
