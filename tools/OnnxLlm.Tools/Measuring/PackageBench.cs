using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Measuring;

/// <summary>Times the bare decode loop of a model package in this process.</summary>
internal static class PackageBench
{
    private const int Seed = 1;

    public static BenchRun Run(BenchJob job, ModelPackage package, TimeProvider time)
    {
        int length = job.PromptTokens + job.Tokens, most = package.Config.MaxPositions;
        if (length > most) throw new ToolException($"The model has room for {most} tokens; prompt and answer together have {length}.");
        using var session = new GenerationSession(package, job.Clients, length, new SessionSettings { Threads = job.Threads });
        var loop = new GreedyLoop(session, job.Clients, time);
        var prompts = new Prompts(session.VocabularySize, Seed, job.PromptTokens);
        for (int i = 0; i < job.WarmUp; i++) loop.Run(prompts, job.Tokens);
        long begin = time.GetTimestamp();
        AnswerTime[] answers = [.. Enumerable.Range(0, job.Rounds).Select(_ => loop.Run(prompts, job.Tokens))];
        return new($"{Path.GetFileName(package.Folder)}, {package.Precision}", answers, time.GetElapsedTime(begin).TotalSeconds);
    }
}
