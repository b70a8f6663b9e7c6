import Testing

@Suite("Names of commands") struct CommandNameTests {
  @Test(
    "A misspelt command is reported with the likely command, at every level, whatever options follow",
    arguments: [
      (
        ["trian", "--config", "x.yaml"], "unknown command 'trian' (did you mean 'quillan train'?); see 'quillan --help'"
      ),
      (["pre-train", "--config", "x"], "(did you mean 'quillan pretrain'?)"),
      (
        ["checkpoint", "inspct", "x", "--json"],
        "(did you mean 'quillan checkpoint inspect'?); see 'quillan checkpoint --help'"
      ),
      (["bench", "kernel", "--threads", "1"], "(did you mean 'quillan bench kernels'?)"),
      (["export", "onxx", "x", "-o", "y"], "(did you mean 'quillan export onnx'?)"),
      (["debug", "repaly", "runs/x", "--step", "1"], "(did you mean 'quillan debug replay'?)"),
      (["frobnicate", "--x"], "unknown command 'frobnicate' (quillan has quickstart, pretrain, train,"),
      (["bits", "enc\u{1B}[2Jode"], "unknown command 'enc [2Jode'"),
    ])
  func misspelt(arguments: [String], part: String) throws {
    let outcome = try Program.execute([Program.path] + arguments)
    #expect(outcome.status == 2 && outcome.output.isEmpty)
    #expect(outcome.errors.split(separator: "\n").count == 1 && outcome.errors.contains(part), "\(outcome.errors)")
  }

  @Test(
    "Help of commands still works",
    arguments: [["help"], ["help", "train"], ["train", "--help"]])
  func help(arguments: [String]) throws {
    let outcome = try Program.execute([Program.path] + arguments)
    #expect(outcome.status == 0 && outcome.output.hasPrefix("OVERVIEW: "), "\(outcome.errors)")
  }
}
