using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using OnnxLlm.Benchmarks.Measuring;
using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Benchmarks.Serve;
using OnnxLlm.Tools.Import;

namespace OnnxLlm.Benchmarks.Speculation;

/// <summary>What guessing ahead does for speed: two servers of one model, which differ in that alone, continue the same texts in turn, one at a time. Both must write the same.</summary>
internal sealed class SpeculationSuite(SpeculationJob job, TimeProvider time, TextWriter output)
{
    /// <summary>Exit code: 0 = every goal met.</summary>
    public int Run()
    {
        using var folder = new TemporaryFolder("speculation");
        string model = job.Model ?? Sample(folder);
        var before = Environment.CpuUsage.TotalTime;
        var processor = new ProcessorTime(time);
        using ServerProcess plain = Start(model, 0), guessing = Start(model, job.Guesses);
        var machine = new QuietMachine(time, job.Threads, output);
        SpeculationResult[] results = [.. SpeculationTexts.All.Select(texts => Measure(texts, machine, plain, guessing))];
        double others = processor.OthersShare(plain.ProcessorTime + guessing.ProcessorTime + Environment.CpuUsage.TotalTime - before);
        Goal[] goals = [.. results.Select(r => Goal.Least($"speculation_ratio_{r.Texts.Name}", r.Ratio, 1))];
        return new Publication("speculation", Section(MeasuredModel.Describe(model), results, goals, others), others, goals).To(output, job.Report);
    }

    private static string Sample(TemporaryFolder folder)
    {
        string model = Path.Combine(folder.Path, SampleModel.Name);
        new PackageImport(SampleModel.Name, model).Write();
        return QuantizedCopy.Write(model, folder.Path);
    }

    private ServerProcess Start(string model, int guesses) => ServerProcess.Start(
        model, job.Threads, "--name", "model", "--cache-mb", "0", "--speculate", guesses.ToString(CultureInfo.InvariantCulture), "--open-metrics");

    private SpeculationResult Measure(SpeculationTexts texts, QuietMachine machine, ServerProcess plain, ServerProcess guessing)
    {
        Write(texts, plain);        // the first answers compile code and fill the prefix cache
        Write(texts, guessing);
        var (drafted, accepted) = Guesses(guessing);
        var rounds = Alternation.Run(job.Rounds, machine, () => Write(texts, plain), () => Write(texts, guessing));
        if (rounds.FirstOrDefault(r => !r.Peer.Answers.SequenceEqual(r.Ours.Answers)) is not null) throw new BenchmarkException("Guessing ahead changed an answer.");
        var (draftedThen, acceptedThen) = Guesses(guessing);
        return new(texts, rounds, draftedThen - drafted, acceptedThen - accepted);
    }

    private Writing Write(SpeculationTexts texts, ServerProcess server)
    {
        using var http = new HttpClient { BaseAddress = server.Address };
        var answers = new List<string>();
        int tokens = 0;
        long begun = time.GetTimestamp();
        foreach (string prompt in texts.Prompts)
        {
            using var response = http.PostAsJsonAsync("/v1/completions", new { model = "model", prompt, max_tokens = job.Tokens, temperature = 0 }).GetAwaiter().GetResult();
            using var body = JsonDocument.Parse(response.EnsureSuccessStatusCode().Content.ReadAsStream());
            answers.Add(body.RootElement.GetProperty("choices")[0].GetProperty("text").GetString()!);
            tokens += body.RootElement.GetProperty("usage").GetProperty("completion_tokens").GetInt32();
        }
        var writing = new Writing([.. answers], tokens, time.GetElapsedTime(begun).TotalSeconds);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {texts.Name}: {writing.Tokens} tokens, {writing.Rate:F0} a second"));
        return writing;
    }

    private static (double Drafted, double Accepted) Guesses(ServerProcess server)
    {
        using var http = new HttpClient { BaseAddress = server.Address };
        string[] lines = http.GetStringAsync("/metrics").GetAwaiter().GetResult().Split('\n');
        double Counter(string name) => lines.Where(line => line.StartsWith($"onnxllm_spec_decode_num_{name}_tokens_total{{", StringComparison.Ordinal)).Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
        return (Counter("draft"), Counter("accepted"));
    }

    private string Section(string model, SpeculationResult[] results, Goal[] goals, double others) => string.Create(CultureInfo.InvariantCulture, $"""
        ## Serving: tokens guessed ahead, on real text

        {time.GetLocalNow():yyyy-MM-dd}. {Machine.Current}. {model} Two servers of it, one with `--speculate {job.Guesses}`, each continues {SpeculationTexts.All[0].Prompts.Length} English texts of a kind, one at a time, greedily, by at most {job.Tokens}
        tokens; {job.Rounds} rounds in turn after a first; threads: {job.Threads}. Both wrote the same, letter for letter. Tokens by the time from the first request to the last answer, prompts and HTTP included: medians of the rounds, and the median of their ratios. Other programs
        took {others:P1} of the machine.

        | text | tokens/s without guesses | with | **ratio** | tokens guessed, of those written | of them right |
        |---|---|---|---|---|---|
        {string.Join('\n', results.Select(Row))}

        {string.Join('\n', goals.Select(goal => goal.ListItem))}
        """);

    private static string Row(SpeculationResult r) => string.Create(CultureInfo.InvariantCulture,
        $"| {r.Texts.Words} | {Summary.Of(r.Rounds.Select(x => x.Peer.Rate)).Median:F0} | {Summary.Of(r.Rounds.Select(x => x.Ours.Rate)).Median:F0} | **{r.Ratio:F2}** | {r.Drafted / r.Rounds.Sum(x => x.Ours.Tokens):P0} | {(r.Drafted > 0 ? r.Accepted / r.Drafted : 0):P0} |");

    /// <summary>The answers to all prompts of a kind.</summary>
    private sealed record Writing(string[] Answers, int Tokens, double Seconds)
    {
        public double Rate => Tokens / Seconds;
    }

    private sealed record SpeculationResult(SpeculationTexts Texts, IReadOnlyList<Round<Writing>> Rounds, double Drafted, double Accepted)
    {
        public double Ratio => Summary.Of(Rounds.Select(r => r.Ours.Rate / r.Peer.Rate)).Median;
    }
}
