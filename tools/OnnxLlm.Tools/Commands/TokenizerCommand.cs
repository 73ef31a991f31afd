using System.CommandLine;
using OnnxLlm.Text;
using OnnxLlm.Tools.Display;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>tokenizer train | encode | decode</c></summary>
internal static class TokenizerCommand
{
    public static Command Create() => new("tokenizer", "Train a tokenizer and use it.") { Train(), Encode(), Decode() };

    private static Command Train()
    {
        var corpus = new Option<string>("--corpus") { Description = "Folder of the corpus.", Required = true };
        var size = new Option<int>("--vocab") { Description = "Number of tokens, special ones included.", DefaultValueFactory = _ => 4096 };
        var folder = new Option<string>("--out") { Description = "Folder to write the tokenizer to.", Required = true };
        var mask = new Option<bool>("--mask") { Description = $"Add the special token {BpeSettings.MaskToken}, for encoders." };
        var sentinels = new Option<int>("--sentinels") { Description = "Add so many special tokens <extra_id_0>, <extra_id_1>, …, for encoder-decoders that learn from plain text." };
        var threads = new Option<int>("--threads") { Description = "0 is one per core; the result is the same for any number." };
        var force = new Option<bool>("--force") { Description = "Train it even if it is up to date." };
        var command = new Command("train", "Train a byte-level BPE tokenizer on the training documents of a corpus.") { corpus, size, folder, mask, sentinels, threads, force };
        command.SetAction(parsed => Train(Corpus.Open(parsed.GetRequiredValue(corpus)),
            Settings(parsed.GetValue(mask), parsed.GetValue(sentinels), new() { VocabularySize = parsed.GetValue(size), Threads = parsed.GetValue(threads) }),
            parsed.GetRequiredValue(folder), parsed.GetValue(force), parsed.InvocationConfiguration.Output));
        return command;
    }

    private static BpeSettings Settings(bool mask, int sentinels, BpeSettings settings) => settings with
    {
        SpecialTokens = [.. settings.SpecialTokens, .. mask ? [BpeSettings.MaskToken] : ReadOnlySpan<string>.Empty, .. BpeSettings.Sentinels.Take(sentinels)],
    };

    private static void Train(Corpus corpus, BpeSettings settings, string folder, bool force, TextWriter output)
    {
        var report = StepDisplay.Run(output, progress => TokenizerTraining.Run(corpus, settings, folder, force, progress));
        int size = report.Tokenizer.VocabularySize;
        string what = size < settings.VocabularySize ? $"{size} tokens; the text holds too few repetitions for {settings.VocabularySize}" : $"{size} tokens";
        output.WriteLine(report.UpToDate ? $"up to date: {folder}: {what}" : $"{folder}: {what}");
    }

    private static Command Encode()
    {
        var folder = Folder();
        var special = new Option<bool>("--special") { Description = "Read spellings of special tokens as those tokens." };
        var text = new Argument<string>("text");
        var command = new Command("encode", "Print the token ids of a text.") { folder, special, text };
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(
            string.Join(' ', Tokenizer.Load(parsed.GetRequiredValue(folder)).Encode(parsed.GetRequiredValue(text), parsed.GetValue(special)))));
        return command;
    }

    private static Command Decode()
    {
        var folder = Folder();
        var ids = new Argument<int[]>("ids") { Arity = ArgumentArity.OneOrMore };
        var command = new Command("decode", "Print the text of token ids, special tokens included.") { folder, ids };
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(
            Tokenizer.Load(parsed.GetRequiredValue(folder)).Decode(parsed.GetRequiredValue(ids), skipSpecial: false)));
        return command;
    }

    private static Option<string> Folder() => new("--tokenizer") { Description = "Folder of the tokenizer.", Required = true };
}
