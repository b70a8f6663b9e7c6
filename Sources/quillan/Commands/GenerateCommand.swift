import ArgumentParser
import Errors
import Foundation
import Rollouts
import Runs
import Tensors

/// `quillan generate`.
struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Complete a prompt or a file of prompts, or chat.",
    discussion: """
      The prompt is the second argument, or the contents of --file or of standard input without the last line break; \
      an empty prompt starts from the end token. Output is streamed. --chat formats the prompt as a user's turn in the \
      model's chat form (data.chat; "User: …" without one), --messages answers a conversation, --interactive reads prompts line by line (/help lists its commands), and --batch completes a JSON \
      Lines file of {"prompt": …}. Equal prompts, options and seeds give equal text. Ctrl-C ends a completion: the \
      text so far is printed, and the exit code is 75.
      """)

  @OptionGroup var source: SourceOptions

  @Argument(help: ArgumentHelp("The prompt.", valueName: "prompt"))
  var prompt: String?

  @Option(help: ArgumentHelp("Read the prompt from this file.", valueName: "file"))
  var file: String?

  @OptionGroup var sampling: GenerationOptions

  @Flag(help: "Format the prompt as a user's turn of a chat.")
  var chat = false

  @Option(help: ArgumentHelp("With --chat: the system prompt before the first turn.", valueName: "text"))
  var system: String?

  @Option(
    help: ArgumentHelp(
      #"Answer the conversation in this JSON file, or - for stdin: [{"role": "user", "content": "…"}, …]."#,
      valueName: "file"))
  var messages: String?

  @Flag(help: "Read prompts line by line.")
  var interactive = false

  @Option(
    help: ArgumentHelp(
      "Complete the prompts of this JSON Lines file; prints one JSON object per line.", valueName: "file"))
  var batch: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("With --batch: write here instead of stdout.", valueName: "file"))
  var output: String?

  @OptionGroup var replacing: OutputOptions

  @Option(
    help: ArgumentHelp(
      "Maximum number of sequences decoded together; it does not change the text.", valueName: "n"))
  var batchSize = 64

  @Option(
    help: ArgumentHelp(
      "Tokenizer of the model (default: the one it was trained with): tokenizer.json, or vocab.json with --merges.",
      valueName: "file"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("With --tokenizer vocab.json: its merges.txt.", valueName: "file"))
  var merges: String?

  @Option(
    help: ArgumentHelp(
      "With --tokenizer: the token that ends a text; with --token-ids: the id of that token (default: the model's).",
      valueName: "text"))
  var endToken: String?

  @Flag(help: "Read and print token ids, separated by spaces, instead of text.")
  var tokenIds = false

  @Flag(help: "Print one JSON object per prompt instead of text.")
  var json = false

  @Flag(help: "With JSON output: print the latents of every position, as hexadecimal digits.")
  var latents = false

  @Flag(help: "Print timings on stderr.")
  var timing = false

  func validate() throws {
    try PathCheck.validate([
      "--file": file, "--messages": messages == "-" ? nil : messages, "--batch": batch, "--output": output,
      "--tokenizer": tokenizer, "--merges": merges,
    ])
    if [prompt != nil, file != nil, messages != nil, interactive, batch != nil].filter({ $0 }).count > 1 {
      throw ValidationError("give only one of a prompt, --file, --messages, --interactive and --batch")
    }
    if tokenizer == nil, merges != nil || (endToken != nil && !tokenIds) {
      throw ValidationError("--merges and --end-token go with --tokenizer")
    }
    if tokenIds, let endToken, Int32(endToken) == nil {
      throw ValidationError("--end-token must be a token id with --token-ids, got '\(endToken)'")
    }
    if tokenizer != nil, tokenIds { throw ValidationError("--token-ids and --tokenizer exclude each other; give one") }
    if output != nil, batch == nil { throw ValidationError("--output goes with --batch") }
    if replacing.force, output == nil { throw ValidationError("--force goes with --output") }
    if system != nil, !chat { throw ValidationError("--system goes with --chat") }
    if messages != nil, chat { throw ValidationError("--messages is a chat already; leave out --chat") }
    if messages != nil, tokenIds { throw ValidationError("--messages and --token-ids exclude each other; give one") }
    if chat, tokenIds { throw ValidationError("--chat and --token-ids exclude each other; give one") }
    if !(1...4096).contains(batchSize) {
      throw ValidationError("--batch-size must be from 1 to 4096, got \(batchSize)")
    }
    if latents, !json, batch == nil { throw ValidationError("--latents goes with --json or --batch") }
    if sampling.logprobs != nil, !json, batch == nil { throw ValidationError("--logprobs goes with --json or --batch") }
    if interactive, json || sampling.samples > 1 {
      throw ValidationError("--interactive prints one text per prompt; leave out --json and --samples")
    }
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
    if let messages {
      let conversation = try ConversationFile.messages(at: messages)
      let opened = try open(context)
      let text = conversation.map { "\($0.role): \($0.content)" }.joined(separator: "\n")
      return try completeOne(text, chatTokens(conversation, opened, at: messages), opened, context, start)
    }
    let text = try readPrompt()
    let opened = try open(context)
    try completeOne(text, tokens(text, opened), opened, context, start)
  }

  /// Opens the model and its tokenizer.
  private func open(_ context: Context) throws -> Opened {
    let source = try source.open(context)
    var choice = source.description.tokenizer
    if let tokenizer {
      choice = TokenizerChoice(
        .file, file: tokenizer, merges: merges, endToken: endToken ?? choice.endToken, chat: choice.chat)
    }
    let tokenizer: any Tokenizer =
      tokenIds ? NumberTokenizer(source.model, endToken: endID(choice)) : try choice.make()
    return Opened(source: source, tokenizer: tokenizer)
  }

  /// The id that ends a sequence of token ids: --end-token, otherwise the end token of the model's tokenizer if it can
  /// be read.
  private func endID(_ choice: TokenizerChoice) -> Int32 {
    if let id = endToken.flatMap({ Int32($0) }) { return id }
    do throws(TokenizerError) {
      return try choice.make().endToken
    } catch {
      CommandLog.logger.warning("\(error); until then no token ends a completion, or give --end-token ID")
      return NumberTokenizer.noToken
    }
  }

  struct Opened {
    let source: ModelSource
    let tokenizer: any Tokenizer
  }

  /// The prompt: the argument, or the file or standard input without the line break that `echo` and editors add.
  private func readPrompt() throws -> String {
    let bytes: Data
    let origin: String
    if let prompt { return prompt }
    if let file {
      guard let data = FileManager.default.contents(atPath: file) else {
        throw CommandError(.failure, at: file, "cannot be read", remedy: "give a text file")
      }
      (bytes, origin) = (data, file)
    } else {
      (bytes, origin) = (FileHandle.standardInput.readDataToEndOfFile(), "stdin")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CommandError(.data, at: origin, "is not UTF-8 text", remedy: "convert it")
    }
    return text.last == "\n" || text.last == "\r\n" ? String(text.dropLast()) : text
  }

  /// The error of a prompt of `length` tokens that leaves no room for a completion; nil if the prompt fits.
  func misfit(_ length: Int, _ opened: Opened) -> CommandError? {
    let limit = opened.source.model.configuration.maxSeqLen
    guard length > limit - (sampling.maxTokens ?? 1) else { return nil }
    let wanted = sampling.maxTokens.map { " and \(FigureText.count($0, "new token"))" } ?? ""
    return CommandError(
      .failure,
      "the prompt of \(FigureText.count(length, "token"))\(wanted) exceeds the model's maximum of \(limit)",
      remedy: "shorten it" + (sampling.maxTokens == nil ? "" : " or lower --max-tokens"))
  }

  /// A generator for prompts of up to `length` tokens.
  ///
  /// - Throws: `CommandError` if such a prompt and its completion do not fit in the model's context.
  func generator(
    _ opened: Opened, longest length: Int, stops: [String] = [], context: Context
  ) throws -> TextGenerator {
    if let error = misfit(length, opened) { throw error }
    var options = sampling.options(stops: stops)
    options.batch = batchSize
    let sizes = opened.source.model.configuration
    let sequences = batch == nil ? min(sampling.samples, batchSize) : batchSize
    try MemoryNeed.check(
      bytes: sequences * min(length + options.sampling.maxNewTokens, sizes.maxSeqLen) * 8 * sizes.numLayers
        * sizes.dim,
      purpose: "the key-value cache of \(sequences) sequences")
    return try TextGenerator(opened.source, tokenizer: opened.tokenizer, options: options, context: context)
  }

  /// The tokens of a prompt, formatted as a chat turn with --chat.
  func tokens(_ text: String, _ opened: Opened) throws -> [Int32] {
    if tokenIds { return try NumberTokenizer.parse(text, vocabulary: opened.source.model.configuration.vocabSize) }
    if chat {
      var conversation = Conversation(system: system)
      conversation.ask(text)
      return try tokens(conversation, opened)
    }
    let tokens = opened.tokenizer.encode(text)
    return tokens.isEmpty ? [opened.tokenizer.endToken] : tokens
  }

  /// The tokens of a chat: in the model's chat form, or as text.
  func tokens(_ conversation: Conversation, _ opened: Opened) throws -> [Int32] {
    guard opened.tokenizer.chatForm != nil else { return opened.tokenizer.encode(conversation.prompt) }
    return try chatTokens(conversation.messages, opened, at: "--chat")
  }

  /// What ends an answer besides tokens: with a chat form nothing, otherwise the text of the user's next turn.
  func stops(_ opened: Opened) -> [String] {
    chat && opened.tokenizer.chatForm == nil ? [Conversation.stop] : []
  }

  func chatTokens(_ messages: [ChatMessage], _ opened: Opened, at place: String) throws -> [Int32] {
    guard let form = opened.tokenizer.chatForm else {
      throw CommandError(
        .usage, at: place, "the model has no chat form", remedy: "name one, for example --set data.chat=chatml")
    }
    do throws(PromptTemplateError) {
      return try form.tokens(of: messages, opened.tokenizer)
    } catch {
      throw CommandError(.data, at: place, error.problem, remedy: "correct the message")
    }
  }

  private func completeOne(
    _ text: String, _ prompt: [Int32], _ opened: Opened, _ context: Context, _ start: ContinuousClock.Instant
  ) throws {
    let generator = try generator(opened, longest: prompt.count, stops: stops(opened), context: context)
    Interrupt.install()
    let isStreaming = !json && sampling.samples == 1
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
      let readySeconds = (ready - start) / .seconds(1)
      let firstSeconds = ((first ?? end) - start) / .seconds(1)
      let later = (end - (first ?? end)) / .seconds(1)
      let rate = later > 0 ? Double(count - completions.count) / later : 0
      CommandLog.logger.info(
        """
        \(FigureText.count(prompt.count, "prompt token")), \(FigureText.count(count, "new token")); \
        ready after \(FigureText.fixed(readySeconds, 3)) s, first token after \(FigureText.fixed(firstSeconds, 3)) s, \
        then \(FigureText.fixed(rate, 1)) tokens/s
        """)
    }
    if completions.contains(where: { $0.finish == .interrupted }) { throw ExitStatus.stopped }
  }
}
