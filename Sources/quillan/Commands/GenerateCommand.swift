import ArgumentParser
import Foundation
import Models
import Rollouts
import Tensors
import Training

/// `quillan generate`.
struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Complete prompts, chat, or answer a file of prompts.",
    discussion: """
      The prompt is the second argument, or --file, or standard input, both without a last line break; an empty one \
      starts from the end token. Text comes as it is drawn. --chat sets the prompt as a user's turn ("User: …"), --interactive asks for one line after \
      the other (/help there), --batch answers a JSON Lines file of {"prompt": …}. Equal prompts, options and seed give \
      equal text. Ctrl-C ends a completion; what was drawn is printed, and the exit code is 75.
      """)

  @OptionGroup var source: SourceOptions

  @Argument(help: ArgumentHelp("The prompt.", valueName: "prompt"))
  var prompt: String?

  @Option(help: ArgumentHelp("Read the prompt from this file.", valueName: "file"))
  var file: String?

  @OptionGroup var drawing: GenerationOptions

  @Flag(help: "The prompt is a user's turn of a chat.")
  var chat = false

  @Option(help: ArgumentHelp("With --chat: what is said before the first turn.", valueName: "text"))
  var system: String?

  @Flag(help: "Ask for line after line.")
  var interactive = false

  @Option(help: ArgumentHelp("Answer the prompts of this JSON Lines file, one JSON line each.", valueName: "file"))
  var batch: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("With --batch: write here instead of stdout.", valueName: "file"))
  var output: String?

  @OptionGroup var replacing: OutputOptions

  @Option(help: ArgumentHelp("Sequences decoded together, at most; changes no text.", valueName: "n"))
  var batchSize = 64

  @Option(
    help: ArgumentHelp(
      "The model's tokenizer (default: the one it was trained with): tokenizer.json, or vocab.json with --merges.",
      valueName: "file"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("With --tokenizer: merges.txt of a vocab.json.", valueName: "file"))
  var merges: String?

  @Option(
    help: ArgumentHelp(
      "With --tokenizer: the token that ends a text; with --token-ids: its id (default: the model's).",
      valueName: "text"))
  var endToken: String?

  @Flag(help: "Prompts and completions are token ids, separated by spaces.")
  var tokenIds = false

  @Flag(help: "Print one JSON object a prompt instead of text.")
  var json = false

  @Flag(help: "With JSON: the latents of every position, as hexadecimal digits.")
  var latents = false

  @Flag(help: "Say on stderr how long it took.")
  var timing = false

  func validate() throws {
    try PathCheck.validate([
      "--file": file, "--batch": batch, "--output": output, "--tokenizer": tokenizer, "--merges": merges,
    ])
    if [prompt != nil, file != nil, interactive, batch != nil].filter({ $0 }).count > 1 {
      throw ValidationError("give one of a prompt, --file, --interactive and --batch")
    }
    if tokenizer == nil, merges != nil || (endToken != nil && !tokenIds) {
      throw ValidationError("--merges and --end-token go with --tokenizer")
    }
    if tokenIds, let endToken, Int32(endToken) == nil {
      throw ValidationError("--end-token must be a token id with --token-ids, got '\(endToken)'")
    }
    if tokenizer != nil, tokenIds { throw ValidationError("--token-ids needs no --tokenizer") }
    if output != nil, batch == nil { throw ValidationError("--output goes with --batch") }
    if replacing.force, output == nil { throw ValidationError("--force goes with --output") }
    if system != nil, !chat { throw ValidationError("--system goes with --chat") }
    if chat, tokenIds { throw ValidationError("--chat has no token ids") }
    if !(1...4096).contains(batchSize) {
      throw ValidationError("--batch-size must be from 1 to 4096, got \(batchSize)")
    }
    if latents, !json, batch == nil { throw ValidationError("--latents goes with --json or --batch") }
    if drawing.logprobs != nil, !json, batch == nil { throw ValidationError("--logprobs goes with --json or --batch") }
    if interactive, json || drawing.samples > 1 { throw ValidationError("--interactive prints one text an answer") }
  }

  func run() throws {
    let start = ContinuousClock.now
    let context = source.context()
    if let batch {
      try replacing.check(output)
      let prompts = try PromptFile.prompts(at: URL(fileURLWithPath: batch), requiresAnswer: false)
      let opened = try open(context)
      return try BatchGeneration(command: self, opened: opened, context: context).run(prompts)
    }
    if interactive {
      return try InteractiveGeneration(command: self, opened: open(context), context: context).run()
    }
    let text = try givenPrompt()
    let opened = try open(context)
    try completeOne(text, opened, context, start)
  }

  /// Opens the model and its tokenizer.
  private func open(_ context: Context) throws -> Opened {
    let source = try source.open(context)
    var choice = source.description.tokenizer
    if let tokenizer {
      choice = TokenizerChoice(.file, file: tokenizer, merges: merges, endToken: endToken ?? choice.endToken)
    }
    let tokenizer: any Tokenizer =
      tokenIds ? NumberTokenizer(source.model, endToken: endID(choice)) : try choice.make()
    return Opened(source: source, tokenizer: tokenizer)
  }

  /// The id that ends a sequence of ids: as given, or that of the model's tokenizer if it can be read.
  private func endID(_ choice: TokenizerChoice) -> Int32 {
    if let id = endToken.flatMap({ Int32($0) }) { return id }
    do throws(TokenizerError) {
      return try choice.make().endToken
    } catch {
      CommandLog.logger.warning("\(error); until then no token ends a completion: name it by --end-token ID")
      return NumberTokenizer.noToken
    }
  }

  struct Opened {
    let source: ModelSource
    let tokenizer: any Tokenizer
  }

  /// The prompt as it was given: argument, or file or standard input without the line break that `echo` and editors add.
  private func givenPrompt() throws -> String {
    let bytes: Data
    let place: String
    if let prompt { return prompt }
    if let file {
      guard let data = FileManager.default.contents(atPath: file) else {
        throw CommandError(.failed, "\(file): cannot be read; give a text file")
      }
      (bytes, place) = (data, file)
    } else {
      (bytes, place) = (FileHandle.standardInput.readDataToEndOfFile(), "stdin")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CommandError(.badData, "\(place): is not UTF-8 text; convert it")
    }
    return text.last == "\n" || text.last == "\r\n" ? String(text.dropLast()) : text
  }

  /// Whether a prompt of `length` tokens leaves room for a completion.
  func fits(_ length: Int, _ opened: Opened) -> Bool {
    length <= opened.source.model.configuration.maxSeqLen - (drawing.maxTokens ?? 1)
  }

  /// A prompt and its completion that do not fit into the model.
  func misfit(_ length: Int, _ opened: Opened) -> String {
    let wanted = drawing.maxTokens.map { " and \($0) new ones" } ?? ""
    return "the prompt of \(FigureText.count(length, "token"))\(wanted) does not fit the model's "
      + "\(opened.source.model.configuration.maxSeqLen); shorten it"
      + (drawing.maxTokens == nil ? "" : " or lower --max-tokens")
  }

  /// A generator for prompts of up to `length` tokens.
  ///
  /// - Throws: `CommandError` where such a prompt and its completion do not fit into the model.
  func generator(_ opened: Opened, longest length: Int, stops: [String] = [], context: Context) throws -> TextGenerator
  {
    guard fits(length, opened) else { throw CommandError(.failed, misfit(length, opened)) }
    var options = drawing.options(stops: stops)
    options.batch = batchSize
    let sizes = opened.source.model.configuration
    let sequences = batch == nil ? min(drawing.samples, batchSize) : batchSize
    try MemoryNeed.check(
      bytes: sequences * min(length + options.sampling.maxNewTokens, sizes.maxSeqLen) * 8 * sizes.numLayers
        * sizes.dim,
      purpose: "the key-value cache of \(sequences) sequences")
    return try TextGenerator(opened.source, tokenizer: opened.tokenizer, options: options, context: context)
  }

  /// The tokens of a prompt, as a chat turn where that was asked for.
  func tokens(_ text: String, _ opened: Opened) throws -> [Int32] {
    if tokenIds { return try NumberTokenizer.parse(text, vocabulary: opened.source.model.configuration.vocabSize) }
    var whole = text
    if chat {
      var conversation = Conversation(system: system)
      conversation.ask(text)
      whole = conversation.prompt
    }
    let tokens = opened.tokenizer.encode(whole)
    return tokens.isEmpty ? [opened.tokenizer.endToken] : tokens
  }

  private func completeOne(_ text: String, _ opened: Opened, _ context: Context, _ start: ContinuousClock.Instant)
    throws
  {
    let prompt = try tokens(text, opened)
    let generator = try generator(
      opened, longest: prompt.count, stops: chat ? [Conversation.stop] : [], context: context)
    Interrupt.install()
    let isStreaming = !json && drawing.samples == 1
    var failure: (any Error)?
    var first: ContinuousClock.Instant?
    let ready = ContinuousClock.now
    let completions = try generator.complete(
      [prompt],
      isInterrupted: {
        first = first ?? .now
        return Interrupt.isRequested || failure != nil
      },
      emit: { _, _, piece in
        guard isStreaming else { return }
        do { try StandardOutput.write(piece) } catch { failure = failure ?? error }
      })[0]
    if let failure { throw failure }
    if json {
      try StandardOutput.write(
        CompletionText.json(text, prompt, completions, opened.tokenizer, self).serialized + "\n")
    } else if isStreaming {
      try StandardOutput.write("\n")
    } else {
      for (number, completion) in completions.enumerated() {
        try StandardOutput.write("--- \(number + 1) of \(completions.count)\n\(completion.text)\n")
      }
    }
    if timing {
      let count = completions.reduce(0) { $0 + $1.tokens.count }
      let end = ContinuousClock.now
      let firstSeconds = ((first ?? end) - start) / .seconds(1)
      let later = (end - (first ?? end)) / .seconds(1)
      let rate = later > 0 ? Double(count - completions.count) / later : 0
      CommandLog.logger.info(
        "\(prompt.count) prompt tokens, \(count) new; ready after \(FigureText.fixed((ready - start) / .seconds(1), 3)) s, first token after \(FigureText.fixed(firstSeconds, 3)) s, then \(FigureText.fixed(rate, 1)) tokens/s"
      )
    }
    if completions.contains(where: { $0.finish == .interrupted }) { throw ExitStatus.stopped }
  }
}
