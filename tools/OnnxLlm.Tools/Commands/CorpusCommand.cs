using System.CommandLine;
using OnnxLlm.Text;
using OnnxLlm.Tools.Display;

namespace OnnxLlm.Tools.Commands;

/// <summary><c>corpus prepare | tokenize</c></summary>
internal static class CorpusCommand
{
    private const int ProblemsShown = 10;

    public static Command Create() => new("corpus", "Gather text and turn it into tokens.") { Prepare(), Tokenize() };

    private static Command Prepare()
    {
        var source = new Option<string>("--source") { Description = $"'{SampleCorpus.Name}', a folder of .txt or .jsonl files, or one such file.", Required = true };
        var folder = new Option<string>("--out") { Description = "Folder to write the corpus to.", Required = true };
        var share = new Option<double>("--validation") { Description = "Share of documents held out.", DefaultValueFactory = _ => 0.05 };
        var filter = new Option<string>("--content-filter") { Description = "JSON file that says what may not stand in it, as the server's does." };
        var force = new Option<bool>("--force") { Description = "Write it even if it is up to date." };
        var command = new Command("prepare", "Gather documents and split them for training and validation.") { source, folder, share, filter, force };
        command.SetAction(parsed =>
        {
            var settings = new CorpusSettings
            {
                Source = parsed.GetRequiredValue(source) is var given && given == SampleCorpus.Name ? SampleCorpus.Folder() : given,
                Name = given == SampleCorpus.Name ? given : null,
                Folder = parsed.GetRequiredValue(folder),
                ContentFilter = parsed.GetValue(filter),
                ValidationShare = parsed.GetValue(share),
            };
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            Show(StepDisplay.Run(output, progress => CorpusPreparation.Run(settings, parsed.GetValue(force), progress)), settings.Folder, output, error);
        });
        return command;
    }

    private static void Show(CorpusReport report, string folder, TextWriter output, TextWriter error)
    {
        foreach (string problem in report.Problems.Take(ProblemsShown))
            error.WriteLine($"skipped: {problem}");
        if (report.Problems.Count > ProblemsShown)
            error.WriteLine($"skipped: {report.Problems.Count - ProblemsShown} more");
        if (report.Corpus.Manifest.Filtering is { } filtering)
            output.WriteLine($"content filter: {filtering.Removed} documents removed{Each(filtering.RemovedFor)}, {filtering.Masked.Values.Sum()} pieces of personal data masked{Each(filtering.Masked)}");
        var (train, valid) = (report.Corpus.Manifest.Train, report.Corpus.Manifest.Valid);
        string what = $"documents: {train.Documents} to learn from ({StepDisplay.Bytes(train.Bytes)}), {valid.Documents} held out ({StepDisplay.Bytes(valid.Bytes)})";
        output.WriteLine(report.UpToDate ? $"up to date: {folder}: {what}" : $"{folder}: {what}");
    }

    private static string Each(IReadOnlyDictionary<string, long> counts) => counts.Count > 0 ? $" ({string.Join(", ", counts.Select(count => $"{count.Key} {count.Value}"))})" : "";

    private static Command Tokenize()
    {
        var corpus = new Option<string>("--corpus") { Description = "Folder of the corpus.", Required = true };
        var tokenizer = new Option<string>("--tokenizer") { Description = "Folder of the tokenizer.", Required = true };
        var folder = new Option<string>("--out") { Description = "Folder to write the token shards to.", Required = true };
        var force = new Option<bool>("--force") { Description = "Write them even if they are up to date." };
        var command = new Command("tokenize", "Turn a corpus into token shards.") { corpus, tokenizer, folder, force };
        command.SetAction(parsed => Tokenize(Corpus.Open(parsed.GetRequiredValue(corpus)), Tokenizer.Load(parsed.GetRequiredValue(tokenizer)),
            parsed.GetRequiredValue(folder), parsed.GetValue(force), parsed.InvocationConfiguration.Output));
        return command;
    }

    private static void Tokenize(Corpus corpus, Tokenizer tokenizer, string folder, bool force, TextWriter output)
    {
        var report = StepDisplay.Run(output, progress => CorpusTokenization.Run(corpus, tokenizer, folder, force, progress));
        double bytesPerToken = (double)corpus.Manifest.Valid.Bytes / report.ValidTokens;
        string what = FormattableString.Invariant(
            $"tokens: {report.TrainTokens:N0} to learn from, {report.ValidTokens:N0} held out; {bytesPerToken:F2} bytes of text each");
        output.WriteLine(report.UpToDate ? $"up to date: {folder}: {what}" : $"{folder}: {what}");
    }
}
